package marathon

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestInstanceID(t *testing.T) {
	const uuid = "c0efd47d-49b2-11e9-b8cd-1aeaf266c008"
	for task, want := range map[string]string{
		"shop_web.instance-" + uuid + "._app.1":       "shop_web.instance-" + uuid,
		"shop_web.instance-" + uuid + "._app.12":      "shop_web.instance-" + uuid,
		"shop_cart.instance-" + uuid + ".side":        "shop_cart.instance-" + uuid,
		"shop_cart.instance-" + uuid + ".my-side_2.3": "shop_cart.instance-" + uuid,
		"my.app_v1.2.instance-" + uuid + "._app.1":    "my.app_v1.2.instance-" + uuid,
		"spark." + uuid:                              "spark.marathon-" + uuid,
		"my-app_" + uuid:                             "my-app.marathon-" + uuid,
		"db." + uuid + ".2":                          "db.marathon-" + uuid,
		"spark.marathon-" + uuid + "._app.2":         "spark.marathon-" + uuid, // launched again after an upgrade
		"a.instance-b.instance-" + uuid + "._app.1":  "a.instance-b.instance-" + uuid,
		"cart.instance-" + uuid + ".instance-side.1": "cart.instance-" + uuid,
		"my-app_0-1396592784349":                     "",
		"dev":                                        "",
		"":                                           "",
		uuid:                                         "",
		".":                                          "",
		"shop." + strings.ToUpper(uuid):              "",
		"shop." + strings.Replace(uuid, "-", "0", 1):     "",
		"shop." + strings.Replace(uuid, "c", "-", 1):     "",
		"shop.instance-" + uuid[:35] + "._app.1":         "",
		"shop.Instance-" + uuid + "." + uuid + "._app.1": "shop.Instance-" + uuid + ".marathon-" + uuid,
	} {
		if got := InstanceID(task); got != want {
			t.Errorf("task %q is of instance %q, want %q", task, got, want)
		}
	}
}

// The length of an ID takes time, and not its square.
func TestInstanceIDOfALongTaskID(t *testing.T) {
	read := func(c string) time.Duration {
		id := strings.Repeat(c, 1<<20)
		return fastest(func() { InstanceID(id) })
	}
	if dots, lines := read("."), read("_"); lines > 50*dots {
		t.Errorf("a million of _ takes %v, and of dots %v", lines, dots)
	}
}

// debugID is how Marathon from 1.7 on writes an instance's ID in a result.
var debugID = regexp.MustCompile(`^instance \[(.*)\]$`)

// Each recorded result names the instance of the task that it is listed with.
func TestInstanceIDsOfRecordedResults(t *testing.T) {
	compared := 0
	for _, path := range append(fixtures(t, "rest", ".json"), fixtures(t, "live", ".json")...) {
		// In one of these the IDs are anonymised, in the other they are made up.
		if strings.Contains(path, "app-1.6") || strings.Contains(path, "docs/") {
			continue
		}
		var answer any
		if err := json.Unmarshal(fixture(t, path), &answer); err != nil {
			t.Fatal(err)
		}
		for _, task := range objectsWith(answer, "healthCheckResults") {
			id, _ := task["id"].(string)
			for _, result := range objectsWith(task["healthCheckResults"], "instanceId") {
				instance, _ := result["instanceId"].(string)
				if inner := debugID.FindStringSubmatch(instance); inner != nil {
					instance = inner[1]
				}
				compared++
				if got := InstanceID(id); got != instance {
					t.Errorf("%s: task %s is of instance %q, want %q", path, id, got, instance)
				}
			}
		}
	}
	if compared < 100 {
		t.Errorf("%d results were compared, want some hundreds", compared)
	}
}

// objectsWith returns the objects within value that have a key.
func objectsWith(value any, key string) []map[string]any {
	var found []map[string]any
	switch v := value.(type) {
	case map[string]any:
		if _, has := v[key]; has {
			found = append(found, v)
		}
		for _, inner := range v {
			found = append(found, objectsWith(inner, key)...)
		}
	case []any:
		for _, inner := range v {
			found = append(found, objectsWith(inner, key)...)
		}
	}
	return found
}

// In each recorded stream, both events tell of instances whose tasks the stream
// tells of.
func TestInstanceIDsOfRecordedEvents(t *testing.T) {
	checked := 0
	for _, path := range fixtures(t, "live/next", ".sse") {
		instances := map[string]bool{}
		var named []string
		for _, f := range frames(fixture(t, path)) {
			event, err := Decode(f.name, []byte(f.data))
			if err != nil {
				t.Fatal(err)
			}
			switch e := event.(type) {
			case TaskChanged:
				instances[InstanceID(e.Task.ID)] = true
			case HealthStatusChanged:
				named = append(named, e.InstanceID)
			case InstanceHealthChanged:
				named = append(named, e.InstanceID)
			}
		}
		slices.Sort(named)
		for _, id := range slices.Compact(named) {
			checked++
			// A new leader tells of what ran before.
			if !instances[id] && !strings.Contains(path, "failover") {
				t.Errorf("%s: health of instance %s, which has no task", path, id)
			}
		}
	}
	if checked < 30 {
		t.Errorf("%d instances were checked", checked)
	}
}

func FuzzInstanceID(f *testing.F) {
	f.Add("shop_web.instance-c0efd47d-49b2-11e9-b8cd-1aeaf266c008._app.1")
	f.Add("shop_web_c0efd47d-49b2-11e9-b8cd-1aeaf266c008.2")
	f.Fuzz(func(t *testing.T, task string) {
		id := InstanceID(task)
		if id == "" {
			return
		}
		// The instance of an instance's next incarnation is that instance.
		if again := InstanceID(id + "._app.7"); again != id {
			t.Errorf("task %q is of %q, whose next task is of %q", task, id, again)
		}
	})
}
