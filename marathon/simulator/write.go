package simulator

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
)

// The writing part of REST, so that the demo's Marathon can be used with curl.

// maxRequest bounds the body of a request.
const maxRequest = 1 << 20

func (m *Marathon) postApp(w http.ResponseWriter, r *http.Request) {
	app, err := decodeApp(r, nil)
	if err != nil {
		writeInvalid(w, err)
		return
	}
	m.mu.Lock()
	d, err := m.create(app, force(r))
	m.mu.Unlock()
	if err == nil {
		w.Header().Set("Location", "http://"+r.Host+app.ID)
	}
	m.answer(w, r, d, err, http.StatusCreated, app.ID)
}

// putApp changes an app, or creates it. Fields that the body does not name stay.
func (m *Marathon) putApp(w http.ResponseWriter, r *http.Request) {
	id := pathID(r)
	m.mu.Lock()
	old := m.root[id]
	m.mu.Unlock()
	app, err := decodeApp(r, old)
	if err != nil {
		writeInvalid(w, err)
		return
	}
	app.ID = id
	status := http.StatusOK
	if old == nil {
		status = http.StatusCreated
	}
	m.mu.Lock()
	d, err := m.put(app, force(r))
	m.mu.Unlock()
	m.answer(w, r, d, err, status, "")
}

func (m *Marathon) putApps(w http.ResponseWriter, r *http.Request) {
	var bodies []json.RawMessage
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest)).Decode(&bodies); err != nil {
		writeInvalid(w, fmt.Errorf("decode apps: %w", err))
		return
	}
	var apps []App
	for _, body := range bodies {
		app, err := appOf(body)
		if err != nil {
			writeInvalid(w, err)
			return
		}
		apps = append(apps, app)
	}
	m.mu.Lock()
	d, err := m.bulk(apps, force(r))
	m.mu.Unlock()
	m.answer(w, r, d, err, http.StatusOK, "")
}

// postRestart is POST /v2/apps/{id}/restart.
func (m *Marathon) postRestart(w http.ResponseWriter, r *http.Request) {
	id, ok := strings.CutSuffix(pathID(r), "/restart")
	if !ok {
		writeMessage(w, http.StatusInternalServerError, message{Message: "URI not found"})
		return
	}
	m.mu.Lock()
	d, err := m.restart(id, force(r))
	m.mu.Unlock()
	m.answer(w, r, d, err, http.StatusOK, "")
}

// deleteApp is DELETE /v2/apps/{id} and DELETE /v2/apps/{id}/tasks/{task}.
func (m *Marathon) deleteApp(w http.ResponseWriter, r *http.Request) {
	id, taskID, isTask := strings.Cut(pathID(r), "/tasks/")
	if isTask {
		if err := m.Kill(taskID, r.URL.Query().Get("scale") == "true"); err != nil {
			writeMessage(w, http.StatusNotFound, message{
				Message: fmt.Sprintf("Task '%s' does not exist", taskID), Details: []string{},
			})
			return
		}
		writeJSON(w, http.StatusOK, struct{}{})
		return
	}
	m.mu.Lock()
	d, err := m.destroy(id)
	m.mu.Unlock()
	m.answer(w, r, d, err, http.StatusOK, "")
}

// deleteDeployment rolls a deployment back, or with force just ends it: 202
// without a body.
func (m *Marathon) deleteDeployment(w http.ResponseWriter, r *http.Request) {
	if force(r) {
		if err := m.Cancel(r.PathValue("id")); err != nil {
			writeNoDeployment(w, r.PathValue("id"))
			return
		}
		w.WriteHeader(http.StatusAccepted)
		return
	}
	m.mu.Lock()
	d, err := m.rollback(r.PathValue("id"))
	m.mu.Unlock()
	if err != nil {
		writeNoDeployment(w, r.PathValue("id"))
		return
	}
	m.answer(w, r, d, nil, http.StatusOK, "")
}

// answer waits until REST shows the change, as Marathon does, and then tells
// the deployment or, for a created app, its definition.
func (m *Marathon) answer(w http.ResponseWriter, r *http.Request, d *deployment, err error, status int, created string) {
	switch {
	case errors.Is(err, ErrNotFound):
		writeNoApp(w, pathID(r))
		return
	case errors.Is(err, ErrExists):
		writeMessage(w, http.StatusConflict, message{Message: fmt.Sprintf("An app with id [%s] already exists.", created)})
		return
	case err != nil:
		writeMessage(w, http.StatusConflict, message{Message: lockedReason, Deployments: m.deploymentRefs()})
		return
	}
	select {
	case <-d.shown:
	case <-r.Context().Done():
		return
	}
	w.Header().Set("Marathon-Deployment-Id", d.plan.ID)
	if created == "" {
		writeJSON(w, status, map[string]string{"version": d.plan.Version, "deploymentId": d.plan.ID})
		return
	}
	asked := m.definition(d.after[created])
	asked.VersionInfo = nil
	writeJSON(w, status, appInfo{definition: asked, Deployments: []deploymentRef{{d.plan.ID}}})
}

func (m *Marathon) deploymentRefs() []deploymentRef {
	var refs []deploymentRef
	for _, d := range m.Deployments() {
		refs = append(refs, deploymentRef{d.ID})
	}
	return refs
}

// getDeployments lists the deployments under way.
func (m *Marathon) getDeployments(w http.ResponseWriter, _ *http.Request) {
	type currentAction struct {
		action
		ReadinessCheckResults []readinessResult `json:"readinessCheckResults"`
	}
	type info struct {
		plan
		AffectedApps   []string        `json:"affectedApps"`
		AffectedPods   []string        `json:"affectedPods"`
		CurrentActions []currentAction `json:"currentActions"`
		CurrentStep    int             `json:"currentStep"`
		TotalSteps     int             `json:"totalSteps"`
	}
	m.mu.Lock()
	running := []info{}
	for _, d := range m.deployments {
		i := info{
			plan: d.plan, AffectedApps: []string{}, AffectedPods: []string{},
			CurrentActions: []currentAction{}, CurrentStep: d.current + 1, TotalSteps: len(d.plan.Steps),
		}
		for _, id := range sortedKeys(d.after) {
			if spec := d.after[id]; spec != nil && spec.isPod() || spec == nil && d.before[id].isPod() {
				i.AffectedPods = append(i.AffectedPods, id)
			} else {
				i.AffectedApps = append(i.AffectedApps, id)
			}
		}
		if d.current < len(d.plan.Steps) {
			for _, a := range d.plan.Steps[d.current].Actions {
				i.CurrentActions = append(i.CurrentActions, currentAction{a, m.readinessResults(a.id())})
			}
		}
		running = append(running, i)
	}
	m.mu.Unlock()
	writeJSON(w, http.StatusOK, running)
}

func force(r *http.Request) bool { return r.URL.Query().Get("force") == "true" }

func writeNoDeployment(w http.ResponseWriter, id string) {
	writeMessage(w, http.StatusNotFound, message{
		Message: fmt.Sprintf("DeploymentPlan '%s' does not exist", id), Details: []string{},
	})
}

// writeInvalid is Marathon's refusal of a body it cannot use.
func writeInvalid(w http.ResponseWriter, err error) {
	writeMessage(w, http.StatusUnprocessableEntity, message{Message: err.Error(), Details: []string{}})
}

// decodeApp reads an app definition. Fields that the body does not name are
// taken from old, if there is one: the bodies are merged field by field, and
// no deeper.
func decodeApp(r *http.Request, old *runSpec) (App, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxRequest))
	if err != nil {
		return App{}, fmt.Errorf("read app: %w", err)
	}
	if old == nil {
		return appOf(body)
	}
	var fields, given map[string]json.RawMessage
	if err := json.Unmarshal(compact(old.definition()), &fields); err != nil {
		return App{}, fmt.Errorf("decode app %s as it is: %w", old.ID, err)
	}
	if err := json.Unmarshal(body, &given); err != nil {
		return App{}, fmt.Errorf("decode app: %w", err)
	}
	maps.Copy(fields, given)
	return appOf(compact(fields))
}

// appOf reads what an App has of a definition; the rest is ignored.
func appOf(body []byte) (App, error) {
	var d definition
	if err := json.Unmarshal(body, &d); err != nil {
		return App{}, fmt.Errorf("decode app: %w", err)
	}
	app := App{
		ID: "/" + strings.Trim(d.ID, "/"), Instances: d.Instances, Cmd: d.Cmd, Labels: d.Labels,
		CPUs: d.CPUs, Upgrade: d.UpgradeStrategy, Dependencies: d.Dependencies,
		RequirePorts: d.RequirePorts, Resident: d.Residency != nil,
	}
	if u := d.UnreachableStrategy; u != nil {
		app.InactiveAfter, app.ExpungeAfter = duration(u.InactiveAfterSeconds), duration(u.ExpungeAfterSeconds)
	}
	app.HealthChecks = each(d.HealthChecks, healthCheck.check)
	app.ReadinessChecks = each(d.ReadinessChecks, readinessCheck.check)
	if len(d.Networks) > 0 {
		app.Network, app.NetworkName = d.Networks[0].Mode, d.Networks[0].Name
	}
	if d.PortDefinitions != nil {
		app.Ports = []Port{}
		for _, p := range *d.PortDefinitions {
			app.Ports = append(app.Ports, Port{Name: p.Name, Protocol: p.Protocol, Service: p.Port, Labels: p.Labels})
		}
	}
	if d.Container != nil {
		for _, p := range d.Container.PortMappings {
			port := Port{
				Name: p.Name, Protocol: p.Protocol, Container: p.ContainerPort, OnHost: p.HostPort != nil,
				Service: p.ServicePort, Labels: p.Labels,
			}
			if port.OnHost {
				port.HostPort = *p.HostPort
			}
			app.Ports = append(app.Ports, port)
		}
	}
	return app, nil
}
