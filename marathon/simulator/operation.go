package simulator

import (
	"fmt"
	"maps"
	"slices"
)

// clientIP is where api_post_event says a request came from.
const clientIP = "127.0.0.1"

// createURI is where new apps are posted.
const createURI = "/v2/apps"

// Create deploys a new app, as POST /v2/apps.
func (m *Marathon) Create(app App) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, err := m.create(app, false)
	return err
}

func (m *Marathon) create(app App, force bool) (*deployment, error) {
	if m.root[app.ID] != nil {
		return nil, fmt.Errorf("create %s: %w", app.ID, ErrExists)
	}
	return m.deployApp(&runSpec{App: app.normalized()}, createURI, force)
}

// Put gives an app this definition, as PUT /v2/apps/{id}: a new one if there is
// none of its ID.
func (m *Marathon) Put(app App) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, err := m.put(app, false)
	return err
}

func (m *Marathon) put(app App, force bool) (*deployment, error) {
	return m.deployApp(&runSpec{App: app.normalized()}, "/v2/apps"+app.ID, force)
}

// Update changes an app's definition, as PUT /v2/apps/{id}. A change of
// anything but Instances replaces all tasks; one that changes nothing is a
// deployment without steps.
func (m *Marathon) Update(id string, edit func(*App)) error {
	return m.edit(id, edit, false)
}

// ForceUpdate is Update with ?force=true: it cancels a deployment in the way.
func (m *Marathon) ForceUpdate(id string, edit func(*App)) error {
	return m.edit(id, edit, true)
}

func (m *Marathon) edit(id string, edit func(*App), force bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	old, err := m.app(id)
	if err != nil {
		return fmt.Errorf("update %w", err)
	}
	app := old.App.clone()
	edit(&app)
	app.ID = id
	_, err = m.put(app, force)
	return err
}

// Scale changes how many instances an app has. Zero suspends it.
func (m *Marathon) Scale(id string, instances int) error {
	return m.Update(id, func(a *App) { a.Instances = instances })
}

// Relabel gives an app other labels, which replaces all its tasks.
func (m *Marathon) Relabel(id string, labels map[string]string) error {
	return m.Update(id, func(a *App) { a.Labels = maps.Clone(labels) })
}

// NoOp puts an app's definition as it is: an empty plan, and no new version.
func (m *Marathon) NoOp(id string) error { return m.Update(id, func(*App) {}) }

// Suspend scales an app to zero.
func (m *Marathon) Suspend(id string) error { return m.Scale(id, 0) }

// Restart replaces all tasks of an app, as POST /v2/apps/{id}/restart.
func (m *Marathon) Restart(id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, err := m.restart(id, false)
	return err
}

func (m *Marathon) restart(id string, force bool) (*deployment, error) {
	old, err := m.app(id)
	if err != nil {
		return nil, fmt.Errorf("restart %w", err)
	}
	return m.deployed(change{
		group: old.group(), restart: true, force: force,
		after: map[string]*runSpec{id: {App: old.App.clone()}},
	})
}

// Destroy stops an app for good, as DELETE /v2/apps/{id}, which is forced by
// default. Its tasks go on for a moment after REST has lost it.
func (m *Marathon) Destroy(id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, err := m.destroy(id)
	return err
}

func (m *Marathon) destroy(id string) (*deployment, error) {
	old, err := m.app(id)
	if err != nil {
		return nil, fmt.Errorf("destroy %w", err)
	}
	return m.deployed(change{group: old.group(), after: map[string]*runSpec{id: nil}, force: true})
}

// Rollback undoes a deployment that hangs, as DELETE /v2/deployments/{id}. The
// app's version becomes that of the root group: it goes back.
func (m *Marathon) Rollback(deploymentID string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, err := m.rollback(deploymentID)
	return err
}

func (m *Marathon) rollback(deploymentID string) (*deployment, error) {
	d, err := m.deployment(deploymentID)
	if err != nil {
		return nil, fmt.Errorf("roll back %w", err)
	}
	after := map[string]*runSpec{}
	for id, spec := range d.before {
		if spec != nil {
			spec = &runSpec{App: spec.App.clone(), containers: spec.containers}
		}
		after[id] = spec
	}
	return m.deployed(change{group: "/", after: after, version: m.rootVersion, force: true})
}

// Cancel ends a deployment where it is, as DELETE /v2/deployments/{id}?force=true:
// the new definition and the old tasks stay until ScaleCheck.
func (m *Marathon) Cancel(deploymentID string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, err := m.deployment(deploymentID)
	if err != nil {
		return fmt.Errorf("cancel %w", err)
	}
	m.cancel(d)
	m.proceed()
	return nil
}

// ScaleCheck is what Marathon does every five minutes: without a deployment, it
// launches or kills until each app has the instances it should have.
func (m *Marathon) ScaleCheck() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range m.ids() {
		busy := slices.ContainsFunc(m.deployments, func(d *deployment) bool {
			return d.touches(map[string]*runSpec{id: nil})
		})
		if !busy {
			m.scale(id, m.root[id], m.root[id].Instances, nil)
		}
	}
	m.proceed()
}

// deployApp deploys one app as the request uri asked for it.
func (m *Marathon) deployApp(spec *runSpec, uri string, force bool) (*deployment, error) {
	c := change{group: spec.group(), after: map[string]*runSpec{spec.ID: spec}, force: force}
	c.posted = func() event {
		// What was asked for: a new app has no service ports yet, and one that was
		// posted no version info.
		asked := m.definition(c.after[spec.ID])
		if uri == createURI {
			asked.VersionInfo = nil
		}
		return apiPost{ClientIP: clientIP, URI: uri, AppDefinition: asked, stamp: stamped("api_post_event")}
	}
	return m.deployed(c)
}

// deployed starts a deployment and, without a Pace, sees it through.
func (m *Marathon) deployed(c change) (*deployment, error) {
	d, err := m.deploy(c)
	m.proceed()
	return d, err
}

// app returns the definition of an app that REST shows; a pod is none.
func (m *Marathon) app(id string) (*runSpec, error) {
	spec := m.root[id]
	if spec == nil || spec.isPod() {
		return nil, fmt.Errorf("app %s: %w", id, ErrNotFound)
	}
	return spec, nil
}

func (m *Marathon) deployment(id string) (*deployment, error) {
	for _, d := range m.deployments {
		if d.plan.ID == id {
			return d, nil
		}
	}
	return nil, fmt.Errorf("deployment %s: %w", id, ErrNotFound)
}
