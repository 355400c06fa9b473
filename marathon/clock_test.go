package marathon

import (
	"net/http"
	"testing"
	"time"
)

func TestAheadIsTheDateOfTheLastAnswer(t *testing.T) {
	date := ""
	answer := json200(t, "live/create-app-running.json")
	client := clientOf(t, nil, serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", date)
		if date == "" {
			w.Header()["Date"] = nil // net/http sets one otherwise
		}
		answer(w, r)
	}).URL)
	read := func() {
		t.Helper()
		if _, err := client.App(t.Context(), "/shop/web"); err != nil {
			t.Fatal(err)
		}
	}
	read()
	if ahead, known := client.Ahead(); known {
		t.Errorf("without a Date Marathon is %v ahead", ahead)
	}
	for _, ahead := range []time.Duration{0, time.Hour, -time.Hour} {
		before := time.Now()
		date = before.Add(ahead).UTC().Format(http.TimeFormat)
		read()
		got, known := client.Ahead()
		// Both ends of what a date in whole seconds can mean, and the time that the answer took.
		if least, most := ahead-time.Second/2-time.Since(before), ahead+time.Second/2; !known || got < least || got > most {
			t.Errorf("Marathon is %v ahead, %v; want %v to %v", got, known, least, most)
		}
	}
	last, _ := client.Ahead()
	date = "tomorrow"
	read()
	if got, known := client.Ahead(); !known || got != last {
		t.Errorf("after a Date that is none Marathon is %v ahead, want %v as before", got, last)
	}
}

// Only Marathon's own answers tell its time: a proxy's do not.
func TestAheadIsNotAProxys(t *testing.T) {
	client := clientOf(t, nil, serve(t, answers(http.StatusBadGateway, "text/html", "<html>")).URL)
	if _, err := client.Info(t.Context()); err == nil {
		t.Fatal("no error")
	}
	if ahead, known := client.Ahead(); known {
		t.Errorf("Marathon is %v ahead", ahead)
	}
}

func TestClientReadsReadiness(t *testing.T) {
	var asked []string
	client := clientOf(t, nil, serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.String())
		file := "live/next/readiness-and-health-app-healthy-not-ready.json"
		if r.URL.Path == "/v2/apps" {
			file = "live/next/readiness-and-health-apps-healthy-not-ready.json"
		}
		json200(t, file)(w, r)
	}).URL)
	snapshot, err := client.AppsWithReadiness(t.Context())
	if err != nil || len(snapshot.Apps) != 1 || len(snapshot.Apps[0].ReadinessCheckResults) != 1 || len(snapshot.Apps[0].Tasks) != 1 {
		t.Errorf("apps are %+v, %v", snapshot, err)
	}
	app, err := client.AppWithReadiness(t.Context(), "/ready/both")
	if err != nil || len(app.ReadinessCheckResults) != 1 || len(app.Tasks) != 1 || len(app.Deployments) != 1 {
		t.Errorf("app is %+v, %v", app, err)
	}
	if _, err := client.App(t.Context(), "/ready/both"); err != nil {
		t.Error(err)
	}
	want := []string{"/v2/apps?embed=apps.tasks&embed=apps.readiness", "/v2/apps/ready/both?embed=app.readiness", "/v2/apps/ready/both"}
	if len(asked) != 3 || asked[0] != want[0] || asked[1] != want[1] || asked[2] != want[2] {
		t.Errorf("asked for %q, want %q", asked, want)
	}
}
