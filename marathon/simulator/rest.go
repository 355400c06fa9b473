package simulator

import (
	"fmt"
	"html"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// restState is what tests see and change of the REST API. Marathon's lock
// guards requests and intercept.
type restState struct {
	requests         map[string]int
	intercept        func(http.ResponseWriter, *http.Request) bool
	requestsInFlight sync.WaitGroup
	// delays are how long an answer about one app takes.
	delays map[string]time.Duration
}

// leaderHeaders are those that a leader's filters add to every answer.
var leaderHeaders = []string{
	"X-Marathon-Leader", "X-Frame-Options", "X-XSS-Protection", "Cache-Control", "Pragma", "Expires",
}

// Handler answers REST requests and event streams. It needs HTTP/1, over any
// connection: httptest and an http.Server will do.
func (m *Marathon) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.rest.requestsInFlight.Add(1)
		defer m.rest.requestsInFlight.Done()
		if intercept := m.count(r); intercept != nil && intercept(w, r) {
			return
		}
		h := w.Header()
		h.Set("X-Marathon-Leader", "http://"+r.Host)
		h.Set("X-Frame-Options", "DENY")
		// net/http's Set would write X-Xss-Protection.
		h["X-XSS-Protection"] = []string{"1; mode=block"}
		h.Set("Cache-Control", "no-cache, no-store, must-revalidate")
		h.Set("Pragma", "no-cache")
		h.Set("Expires", "0")
		m.mux.ServeHTTP(w, r)
	})
}

// count counts a request and returns what is to see it first, if anything.
func (m *Marathon) count(r *http.Request) func(http.ResponseWriter, *http.Request) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rest.requests[r.URL.Path]++
	return m.rest.intercept
}

// Requests returns how often each path has been asked for, query left out.
func (m *Marathon) Requests() map[string]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.rest.requests)
}

// Intercept lets a function see every request first. When it returns true it
// has answered. nil ends that. It runs without a lock, so it may call Marathon.
func (m *Marathon) Intercept(f func(http.ResponseWriter, *http.Request) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rest.intercept = f
}

// SlowApp lets each answer to GET /v2/apps/{id}, and to what is below it, take
// that long; 0 ends that. GET /v2/apps is as fast as ever.
func (m *Marathon) SlowApp(id string, delay time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rest.delays[id] = delay
}

func (m *Marathon) delay(id string) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.rest.delays[id]
}

func (m *Marathon) routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v2/events", m.events)
	mux.HandleFunc("GET /v2/apps", m.getApps)
	mux.HandleFunc("GET /v2/apps/{path...}", m.getApp)
	mux.HandleFunc("GET /v2/tasks", m.getTasks)
	mux.HandleFunc("GET /v2/deployments", m.getDeployments)
	mux.HandleFunc("GET /v2/info", m.getInfo)
	mux.HandleFunc("GET /v2/leader", m.getLeader)
	mux.HandleFunc("GET /ping", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		fmt.Fprint(w, "pong")
	})
	mux.HandleFunc("POST /v2/apps", m.postApp)
	mux.HandleFunc("PUT /v2/apps", m.putApps)
	mux.HandleFunc("PUT /v2/apps/{path...}", m.putApp)
	mux.HandleFunc("POST /v2/apps/{path...}", m.postRestart)
	mux.HandleFunc("DELETE /v2/apps/{path...}", m.deleteApp)
	mux.HandleFunc("DELETE /v2/deployments/{id}", m.deleteDeployment)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		writeMessage(w, http.StatusInternalServerError, message{Message: "URI not found"})
	})
	return mux
}

func (m *Marathon) getApps(w http.ResponseWriter, r *http.Request) {
	embedTasks, embedReadiness := embeds(r, "tasks"), embeds(r, "readiness")
	m.mu.Lock()
	apps := []appInfo{}
	for _, id := range m.ids() {
		if spec := m.root[id]; !spec.isPod() {
			info := m.appInfo(spec)
			if !embedTasks {
				info.Tasks = nil
			}
			if embedReadiness {
				info.ReadinessCheckResults = m.readinessResults(id)
			}
			apps = append(apps, info)
		}
	}
	m.mu.Unlock()
	writeJSON(w, http.StatusOK, map[string]any{"apps": apps})
}

// embeds reports whether a request asks for something in any of the forms that
// Marathon knows.
func embeds(r *http.Request, what string) bool {
	return slices.ContainsFunc(r.URL.Query()["embed"], func(embed string) bool {
		return slices.Contains([]string{what, "apps." + what, "app." + what, "group.apps." + what}, embed)
	})
}

// getApp answers for an app and what is below it. An app ID has slashes, so
// what follows it is told by its name; no ID may end so.
func (m *Marathon) getApp(w http.ResponseWriter, r *http.Request) {
	id, version, isVersion := strings.Cut(pathID(r), "/versions/")
	id, wantsVersions := strings.CutSuffix(id, "/versions")
	id, wantsTasks := strings.CutSuffix(id, "/tasks")
	if !pause(r.Context(), m.delay(id)) {
		return
	}
	if isVersion {
		m.getVersion(w, id, version)
		return
	}
	m.mu.Lock()
	spec, err := m.app(id)
	if err != nil {
		m.mu.Unlock()
		writeNoApp(w, id)
		return
	}
	info := m.appInfo(spec)
	info.LastTaskFailure = m.failures[id]
	if embeds(r, "readiness") {
		info.ReadinessCheckResults = m.readinessResults(id)
	}
	versions := sortedKeys(m.versions[id])
	m.mu.Unlock()
	switch {
	case wantsVersions:
		writeJSON(w, http.StatusOK, map[string]any{"versions": versions})
	case wantsTasks:
		writeJSON(w, http.StatusOK, map[string]any{"tasks": info.Tasks})
	default:
		writeJSON(w, http.StatusOK, map[string]any{"app": info})
	}
}

// getVersion answers with a definition that once was, not wrapped.
func (m *Marathon) getVersion(w http.ResponseWriter, id, version string) {
	m.mu.Lock()
	spec := m.versions[id][version]
	m.mu.Unlock()
	if spec == nil {
		writeMessage(w, http.StatusNotFound, message{
			Message: fmt.Sprintf("App '%s' does not exist in version %s", id, version), Details: []string{},
		})
		return
	}
	writeJSON(w, http.StatusOK, m.definition(spec))
}

// getTasks lists the tasks of all apps that REST shows, with service ports.
func (m *Marathon) getTasks(w http.ResponseWriter, _ *http.Request) {
	m.mu.Lock()
	all := []taskInfo{}
	for _, id := range m.ids() {
		spec := m.root[id]
		if spec.isPod() {
			continue
		}
		for _, info := range m.taskInfos(id) {
			for _, p := range spec.Ports {
				info.ServicePorts = append(info.ServicePorts, p.Service)
			}
			all = append(all, info)
		}
	}
	m.mu.Unlock()
	writeJSON(w, http.StatusOK, map[string]any{"tasks": all})
}

func (m *Marathon) getInfo(w http.ResponseWriter, r *http.Request) {
	features := []string{"secrets", "external_volumes", "vips", "gpu_resources"}
	if m.config.TaskKilling {
		features = append(features, "task_killing")
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"name": "marathon", "version": m.config.Version, "buildref": "90619da70d79a2ecf19368a21c6a695ea981bd74",
		"elected": true, "leader": r.Host, "frameworkId": m.config.FrameworkID,
		"marathon_config":  map[string]any{"features": features, "framework_name": "marathon", "ha": true},
		"zookeeper_config": map[string]any{"zk_session_timeout": 10000},
		"http_config":      map[string]any{"http_port": 8080, "https_port": 8443},
	})
}

func (m *Marathon) getLeader(w http.ResponseWriter, r *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"leader": r.Host})
}

// pathID is the app ID in a request's path: absolute whether the path had one
// slash before it or two, and with none after it.
func pathID(r *http.Request) string { return "/" + strings.Trim(r.PathValue("path"), "/") }

// message is the JSON of a refusal. Details is an empty array where it is known.
type message struct {
	Message     string          `json:"message"`
	Details     []string        `json:"details,omitzero"`
	Deployments []deploymentRef `json:"deployments,omitempty"`
}

func writeMessage(w http.ResponseWriter, status int, body message) { writeJSON(w, status, body) }

func writeNoApp(w http.ResponseWriter, id string) {
	writeMessage(w, http.StatusNotFound, message{
		Message: fmt.Sprintf("App '%s' does not exist", id), Details: []string{},
	})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(compact(body)) // the client may be gone
}

// methodNotSupported is what a wrong Accept gets: no 406, but Jetty's 405, or
// 400 over HTTP/1.0.
func methodNotSupported(w http.ResponseWriter, r *http.Request) {
	status := http.StatusMethodNotAllowed
	if !r.ProtoAtLeast(1, 1) {
		status = http.StatusBadRequest
	}
	htmlError(w, r, status, "HTTP method GET is not supported by this URL")
}

// htmlError is an error page of Jetty's, without a body for those who did not
// ask for HTML.
func htmlError(w http.ResponseWriter, r *http.Request, status int, reason string) {
	w.Header().Del("Expires")
	w.Header().Set("Cache-Control", "must-revalidate,no-cache,no-store")
	accept := r.Header.Get("Accept")
	if accept != "" && !strings.Contains(accept, "*/*") && !strings.Contains(accept, "text/html") {
		w.WriteHeader(status)
		return
	}
	w.Header().Set("Content-Type", "text/html;charset=iso-8859-1")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<html>\n<head>\n<meta http-equiv=\"Content-Type\" content=\"text/html;charset=utf-8\"/>\n"+
		"<title>Error %d %s</title>\n</head>\n<body><h2>HTTP ERROR %d</h2>\n"+
		"<p>Problem accessing %s. Reason:\n<pre>    %s</pre></p>\n</body>\n</html>\n",
		status, reason, status, html.EscapeString(r.URL.Path), reason)
}
