package marathon

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"consular/marathon/transport"
)

// clientOf returns a client of the masters at the given URLs.
func clientOf(t *testing.T, change func(*Config), urls ...string) *Client {
	t.Helper()
	timeout := 10 * time.Second
	parsed, err := ParseURLs(strings.Join(urls, ","))
	if err != nil {
		t.Fatal(err)
	}
	c := Config{URLs: parsed, Timeout: timeout, MaxAnswer: 1 << 20}
	if change != nil {
		change(&c)
	}
	transport, err := transport.New(transport.Config{Connect: timeout, Head: timeout, Silence: timeout})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(transport.CloseIdleConnections)
	c.Transport = transport
	client, err := NewClient(c)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// serve starts a master that answers everything in the same way.
func serve(t *testing.T, answer http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	return server
}

func answers(status int, mediaType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if mediaType != "" {
			w.Header().Set("Content-Type", mediaType)
		} else {
			w.Header()["Content-Type"] = nil
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// recorded answers as a real Marathon did.
func recorded(t *testing.T, path string) http.HandlerFunc {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(fixture(t, path))), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	header, status := resp.Header, resp.StatusCode
	return func(w http.ResponseWriter, _ *http.Request) {
		// Without this net/http guesses a type where Marathon gave none.
		w.Header()["Content-Type"] = nil
		maps.Copy(w.Header(), header)
		w.WriteHeader(status)
		_, _ = w.Write(body)
	}
}

func json200(t *testing.T, path string) http.HandlerFunc {
	t.Helper()
	return answers(http.StatusOK, "application/json", string(fixture(t, path)))
}

func TestClientReads(t *testing.T) {
	ctx := t.Context()
	snapshot, err := clientOf(t, nil, serve(t, json200(t, "live/create-apps.json")).URL).Apps(ctx)
	if err != nil || len(snapshot.Apps) != 1 || snapshot.Apps[0].ID != "/shop/web" || len(snapshot.Apps[0].Tasks) != 2 {
		t.Errorf("apps are %+v, %v", snapshot, err)
	}
	app, err := clientOf(t, nil, serve(t, json200(t, "live/create-app-running.json")).URL).App(ctx, "/shop/web")
	if err != nil || len(app.Tasks) != 2 || app.Tasks[0].State != TaskRunning {
		t.Errorf("app is %+v, %v", app, err)
	}
	version := serve(t, json200(t, "live/cancel-deployment-app-version-of-tasks.json"))
	definition, err := clientOf(t, nil, version.URL).Version(ctx, "/x/rb", "2026-11-22T16:26:14.577Z")
	want := Definition{Network: HostNetwork, Ports: tcp(Port{Name: "http", OnHost: true}), Labels: map[string]string{"v": "old"}, LastConfigChangeAt: "2026-11-22T16:45:17.255Z"}
	if err != nil || !reflect.DeepEqual(definition, want) {
		t.Errorf("definition is %+v, %v; want %+v", definition, err, want)
	}
}

func TestClientReadsInfo(t *testing.T) {
	for body, want := range map[string]Info{
		string(fixture(t, "live/info.json")): {
			Version: "1.11.26", FrameworkID: "6f0e7f52-2a9e-4c4b-9c1c-0d5b8f1e7a01-0000",
		},
		string(fixture(t, "rest/info-1.4.5.json")): {
			Version: "1.4.5", FrameworkID: "bbf812e3-3faf-4ff7-8c14-3ca2152811cf-0000",
		},
		`{"version":"0.11.1","frameworkId":null}`:                                                      {Version: "0.11.1"},
		`{"version":"1.11.26","marathon_config":[` + numbered(maxValues, "#") + `],"frameworkId":"f"}`: {Version: "1.11.26", FrameworkID: "f"},
	} {
		got, err := clientOf(t, nil, serve(t, answers(200, "application/json", body)).URL).Info(t.Context())
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("info is %+v, %v; want %+v", got, err, want)
		}
	}
	_, err := clientOf(t, nil, serve(t, answers(200, "application/json", `{}`)).URL).Info(t.Context())
	if err == nil || !strings.HasSuffix(err.Error(), `field "version" is missing`) {
		t.Errorf("error of an empty answer is %v", err)
	}
}

func TestNotFoundIsWhatMarathonItselfSays(t *testing.T) {
	marathons := map[string]string{
		"live/create-404.http": "/shop/web", "live/pod-404-as-app.http": "/shop/cart",
	}
	for path, id := range marathons {
		if _, err := clientOf(t, nil, serve(t, recorded(t, path)).URL).App(t.Context(), id); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: error is %v, want %v", path, err, ErrNotFound)
		}
	}
	version := serve(t, recorded(t, "live/404-version.http"))
	if _, err := clientOf(t, nil, version.URL).Version(t.Context(), "/x/two", "2020-01-01T00:00:00.000Z"); !errors.Is(err, ErrNotFound) {
		t.Errorf("error of a version is %v, want %v", err, ErrNotFound)
	}
	for _, test := range []struct{ name, mediaType, body string }{
		{"a proxy's page", "text/html", "<html>App '/a' does not exist</html>"},
		{"a proxy's JSON", "application/json", `{"message":"no Route matched with those values"}`},
		{"another app", "application/json", `{"message":"App '/b' does not exist"}`},
		{"no message", "application/json", `{}`},
		{"nothing", "", ``},
	} {
		_, err := clientOf(t, nil, serve(t, answers(404, test.mediaType, test.body)).URL).App(t.Context(), "/a")
		if err == nil || errors.Is(err, ErrNotFound) {
			t.Errorf("%s: error is %v, want another than %v", test.name, err, ErrNotFound)
		}
	}
}

// An app ID of any length is in Marathon's message, which we only shorten to show it.
func TestLongAppIDThatIsGone(t *testing.T) {
	for _, segment := range []string{strings.Repeat("g", 99), strings.Repeat("g", 185), strings.Repeat("<", 4000)} {
		id := "/" + segment
		body, err := json.Marshal(map[string]string{"message": "App '" + id + "' does not exist"})
		if err != nil {
			t.Fatal(err)
		}
		master := serve(t, answers(404, "application/json", string(body)))
		_, err = clientOf(t, nil, master.URL).App(t.Context(), id)
		if !errors.Is(err, ErrNotFound) || len(err.Error()) > 500 {
			t.Errorf("ID of %d characters: error is %.600v", len(id), err)
		}
	}
}

// What cannot be the ID of an app is not in Marathon: asking again would not help.
func TestWhatIsNoAppIDIsNotFound(t *testing.T) {
	client := clientOf(t, nil, "http://127.0.0.1:1")
	for id, why := range map[string]string{
		"": "start with /", "noslash": "start with /", "/": "segment", "/a//b": "segment", "/a/../b": "segment", "/a\x1b": "control",
		strings.Repeat("\x00", 1<<10): "start with /",
	} {
		_, app := client.App(t.Context(), id)
		_, version := client.Version(t.Context(), id, "v")
		for _, err := range []error{app, version} {
			if !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), why) || len(err.Error()) > 1000 {
				t.Errorf("%q: error is %v", id, err)
			}
		}
	}
	if n := client.Requests(); n > 0 {
		t.Errorf("sent %d requests", n)
	}
}

func TestClientErrors(t *testing.T) {
	type request func(*Client) error
	apps := func(c *Client) error { _, err := c.Apps(t.Context()); return err }
	app := func(c *Client) error { _, err := c.App(t.Context(), "/a"); return err }
	version := func(c *Client) error { _, err := c.Version(t.Context(), "/a", "v"); return err }
	for _, test := range []struct {
		name    string
		answer  http.HandlerFunc
		request request
		err     string
	}{
		{"login page", answers(200, "text/html; charset=utf-8", "<html>"), apps, "read all apps: MASTER: answered 200 OK with text/html instead of application/json"},
		{"no media type", answers(200, "", "{}"), apps, "read all apps: MASTER: answered 200 OK with no media type instead of application/json"},
		{"credentials", recorded(t, "live/401-any.http"), apps, "read all apps: MASTER: permission denied: answered 401 Unauthorized with text/html"},
		{"no leader", recorded(t, "live/ha/standby-502-leader-refused.http"), app, "read app /a: MASTER: answered 502 Bad Gateway with no media type"},
		{"Marathon's message", recorded(t, "live/500-unknown-uri.http"), app, `read app /a: MASTER: answered 500 Internal Server Error: "URI not found"`},
		{"long message", answers(503, "application/json", `{"message":"`+strings.Repeat("a", 464)+`é\n"}`), app, `read app /a: MASTER: answered 503 Service Unavailable: "` + strings.Repeat("a", 464) + `…`},
		{"redirect", recorded(t, "live/ha/standby-302-events.http"), app, "read app /a: MASTER: answered 302 Found to http://localhost:18134/v2/events, which is not followed"},
		{"redirect with secrets", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "https://user:secret@login/?token=secret")
			w.WriteHeader(http.StatusTemporaryRedirect)
		}, app, "read app /a: MASTER: answered 307 Temporary Redirect to https://login/, which is not followed"},
		{"cut off", answers(200, "application/json", `{"apps":[{"id":"/a"}`), apps, "read all apps: MASTER: answer is not usable after 20 bytes: unexpected EOF"},
		{"not an app", answers(200, "application/json", `{"tasks":[]}`), app, `read app /a: MASTER: answer is not usable after 12 bytes: field "app" is missing`},
		{"another app", answers(200, "application/json", `{"app":{"id":"/b"}}`), app, `read app /a: MASTER: answer is about app "/b"`},
		{"two apps", answers(200, "application/json", `{"app":{"id":"/a","tasks":[]},"app":{"id":"/a","tasks":[]}}`), app, `read app /a: MASTER: answer is not usable after 36 bytes: field "app" is there twice`},
		{"unreadable app", answers(200, "application/json", `{"app":{"id":"/a","tasks":{}}}`), app, "read app /a: MASTER: answer is not usable: field tasks: unexpected object"},
		{"another version", answers(200, "application/json", `{"versions":[]}`), version, `read version v of app /a: MASTER: answer is about app ""`},
		{"too large", answers(200, "application/json", `{"apps":[`+strings.Repeat(" ", 2<<20)+`]}`), apps, "read all apps: MASTER: answer is larger than 1048576 bytes: --max-answer"},
		{"too large an app", answers(200, "application/json", `{"app":`+strings.Repeat(" ", 2<<20)), app, "read app /a: MASTER: answer is larger than 1048576 bytes: --max-answer"},
	} {
		t.Run(test.name, func(t *testing.T) {
			master := serve(t, test.answer).URL
			err := test.request(clientOf(t, nil, master))
			if want := strings.ReplaceAll(test.err, "MASTER", master); err == nil || err.Error() != want {
				t.Errorf("error is %v\nwant     %s", err, want)
			}
		})
	}
}

func TestClientSends(t *testing.T) {
	var got []string
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		got = append(got, strings.Join([]string{
			r.Method, r.RequestURI, r.Header.Get("Accept"), r.Header.Get("User-Agent"), user, password,
		}, " "))
		answers(500, "application/json", `{"message":"enough"}`)(w, r)
	})
	client := clientOf(t, nil, strings.Replace(server.URL, "http://", "http://me:s%40cr%C3%A9t@", 1)+"/service/marathon/")
	_, err := client.Apps(t.Context())
	_, appErr := client.App(t.Context(), "/a b/c?d#é%2F/e")
	_, versionErr := client.Version(t.Context(), "/a", "2020-06-02T08:15:30.120Z")
	_, infoErr := client.Info(t.Context())
	const tail = " application/json consular me s@crét"
	want := []string{
		"GET /service/marathon/v2/apps?embed=apps.tasks" + tail,
		"GET /service/marathon/v2/apps/a%20b/c%3Fd%23%C3%A9%252F/e" + tail,
		"GET /service/marathon/v2/apps/a/versions/2020-06-02T08:15:30.120Z" + tail,
		"GET /service/marathon/v2/info" + tail,
	}
	if !slices.Equal(got, want) {
		t.Errorf("sent %q\nwant %q", got, want)
	}
	if n := client.Requests(); n != 4 {
		t.Errorf("counted %d requests, want 4", n)
	}
	for _, err := range []error{err, appErr, versionErr, infoErr} {
		if text := err.Error(); strings.Contains(text, "cr") || strings.Contains(text, "me:") {
			t.Errorf("error gives credentials away: %v", err)
		}
	}
}

func TestBadIDsAreNotSent(t *testing.T) {
	client := clientOf(t, nil, "http://127.0.0.1:1")
	for _, id := range []string{"", "/", "a", "//a", "/a//b", "/a/", "/a/../b", "/.", "/a\x00", "/a\u0085", "/\xff"} {
		if _, err := client.App(t.Context(), id); err == nil {
			t.Errorf("app %q is no error", id)
		}
		if _, err := client.Version(t.Context(), id, "v"); err == nil {
			t.Errorf("version of app %q is no error", id)
		}
	}
	for _, version := range []string{"", ".", "..", "a/b", "a\n"} {
		if _, err := client.Version(t.Context(), "/a", version); err == nil {
			t.Errorf("version %q is no error", version)
		}
	}
	if n := client.Requests(); n != 0 {
		t.Errorf("sent %d requests", n)
	}
}

func TestMastersTakeTurns(t *testing.T) {
	ctx := t.Context()
	const good = `{"apps":[]}`
	dead := serve(t, nil)
	dead.Close()
	broken := serve(t, answers(502, "text/html", ""))
	working := serve(t, answers(200, "application/json", good))
	client := clientOf(t, nil, dead.URL, broken.URL, working.URL)
	if _, err := client.Apps(ctx); err != nil {
		t.Fatal(err)
	}
	if n := client.Requests(); n != 3 {
		t.Errorf("first read took %d requests, want 3", n)
	}
	if _, err := client.Apps(ctx); err != nil || client.Requests() != 4 {
		t.Errorf("second read took %d requests, %v; want 1 to the master that works", client.Requests()-3, err)
	}
	working.Close()
	_, err := client.Apps(ctx)
	if err == nil {
		t.Fatal("no error without a master that works")
	}
	text := err.Error()
	for _, part := range []string{
		"read all apps: " + working.URL + ": ", "; " + dead.URL + ": ", "connection refused",
		"; " + broken.URL + ": answered 502 Bad Gateway with text/html",
	} {
		if !strings.Contains(text, part) {
			t.Errorf("error %q lacks %q", text, part)
		}
	}
	if strings.Contains(text, "\n") {
		t.Errorf("error %q has several lines", text)
	}
}

// TestAnotherMasterAfterHalfAnAnswer makes sure that nothing of the first
// answer is left in the second.
func TestAnotherMasterAfterHalfAnAnswer(t *testing.T) {
	half := serve(t, answers(200, "application/json", `{"apps":[{"id":"/half"},`))
	whole := serve(t, answers(200, "application/json", `{"apps":[{"id":"/whole","tasks":[]}]}`))
	snapshot, err := clientOf(t, nil, half.URL, whole.URL).Apps(t.Context())
	if err != nil || len(snapshot.Apps) != 1 || snapshot.Apps[0].ID != "/whole" {
		t.Errorf("read %+v, %v", snapshot, err)
	}
}

func TestNotFoundAsksNoOtherMaster(t *testing.T) {
	missing := serve(t, recorded(t, "live/create-404.http"))
	client := clientOf(t, nil, missing.URL, missing.URL)
	if _, err := client.App(t.Context(), "/shop/web"); !errors.Is(err, ErrNotFound) || client.Requests() != 1 {
		t.Errorf("error is %v after %d requests, want %v after 1", err, client.Requests(), ErrNotFound)
	}
}

func TestSnapshotsMayTakeLonger(t *testing.T) {
	silent := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	client := clientOf(t, func(c *Config) { c.Timeout = 20 * time.Millisecond }, silent.URL)
	if _, err := client.App(t.Context(), "/a"); err == nil || !strings.HasSuffix(err.Error(), ": no head of the answer within 60ms") {
		t.Errorf("error of an app is %v", err)
	}
	if _, err := client.Apps(t.Context()); err == nil || !strings.HasSuffix(err.Error(), ": no head of the answer within 240ms") {
		t.Errorf("error of a snapshot is %v", err)
	}
}
