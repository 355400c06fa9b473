package marathon

import "strings"

// InstanceID returns the ID of the instance that a task belongs to, as events of
// Marathon from 1.4 on name it, or "" for an ID of no known form. Several tasks
// may have one: from 1.8 on a task that has ended is launched again in its
// instance. A cluster may have tasks of all forms, for a task keeps its ID over
// upgrades of Marathon:
//
//	shop_web.instance-<uuid>._app.1    shop_web.instance-<uuid>    1.8 on, apps
//	cart.instance-<uuid>.side[.1]      cart.instance-<uuid>        1.4 on, pods
//	shop_web.<uuid>                    shop_web.marathon-<uuid>    up to 1.7, apps
//	shop_web_<uuid>                    shop_web.marathon-<uuid>    oldest
//	shop_web.<uuid>.2                  shop_web.marathon-<uuid>    up to 1.7, with persistent volumes
//
// Source: mesosphere.marathon.core.task.Task.Id and core.instance.Instance.Id.
func InstanceID(task string) string {
	for end := len(task); end > 0; {
		// Task IDs are read from the right: an app's name may look like the rest.
		at := strings.LastIndexAny(task[:end], "._")
		if at < 0 {
			return ""
		}
		part, _, _ := strings.Cut(task[at+1:min(len(task), at+2+longestInstance)], ".")
		prefix, uuid := "", part
		for _, p := range []string{"instance-", "marathon-"} {
			if rest, ok := strings.CutPrefix(part, p); ok {
				prefix, uuid = p, rest
			}
		}
		switch {
		case !isUUID(uuid):
			end = at
		case prefix == "":
			return task[:at] + ".marathon-" + uuid
		default:
			return task[:at+1+len(part)]
		}
	}
	return ""
}

// longestInstance is the length of "instance-<uuid>".
const longestInstance = 9 + 36

// isUUID reports whether text looks like a UUID in Java's form.
func isUUID(text string) bool {
	if len(text) != 36 {
		return false
	}
	for i, c := range text {
		if dash := i == 8 || i == 13 || i == 18 || i == 23; dash != (c == '-') {
			return false
		} else if !dash && !strings.ContainsRune("0123456789abcdef", c) {
			return false
		}
	}
	return true
}
