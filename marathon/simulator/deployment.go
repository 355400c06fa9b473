package simulator

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// What an operation can be refused for.
var (
	// ErrNotFound means that there is no such app, pod, task or deployment.
	ErrNotFound = errors.New("does not exist")
	// ErrExists means that an app or pod of that ID is there already.
	ErrExists = errors.New("already exists")
	// ErrLocked means that a deployment of the app is under way (HTTP 409).
	ErrLocked = errors.New("is locked by a deployment")
)

// Marathon's own words for refusals and cancellations.
const (
	lockedReason    = "App is locked by one or more deployments. Override with the option '?force=true'. View details at '/v2/deployments/<DEPLOYMENT_ID>'."
	cancelledReason = "The upgrade has been cancelled"
)

// change is what one request wants.
type change struct {
	// group is the groupId of its group_change_success: the parent of the
	// changed app, pod or group, and "/" for what touches several.
	group string
	// after holds the new definition of each changed ID; nil removes it.
	after map[string]*runSpec
	// version is the version to use again; "" for a new one.
	version string
	// restart replaces tasks though nothing has changed.
	restart bool
	// force cancels deployments that are in the way.
	force bool
	// victim is the instance to kill first when scaling down; may be nil.
	victim *instance
	// posted returns the request's own event (api_post_event and the like),
	// published once REST shows the change; nil for none.
	posted func() event
}

// deployment is a plan that is being carried out.
type deployment struct {
	change
	plan   plan
	before map[string]*runSpec
	// current is the index of the plan's step under way.
	current int
	// announced is set by the first event, visible when REST shows the change.
	announced, visible bool
	// shown is closed when the request is to be answered.
	shown chan struct{}
	// The deployment, the group change and the request publish independently.
	script, groupScript, requestScript script
}

// deploy plans a change and starts to carry it out. The plan's first event
// comes before REST shows the change, group_change_success after it.
func (m *Marathon) deploy(c change) (*deployment, error) {
	d := &deployment{change: c, before: map[string]*runSpec{}, shown: make(chan struct{})}
	version := cmp.Or(c.version, m.newVersion())
	for id, spec := range c.after {
		d.before[id] = m.root[id]
		if spec != nil && d.before[id] != nil {
			spec.keepServicePorts(d.before[id])
		}
	}
	d.plan = plan{ID: m.deploymentID(), Steps: steps(d.before, c.after, c.restart), Version: version}
	if err := m.makeWay(d); err != nil {
		return nil, err
	}
	for id, spec := range c.after {
		unchanged := d.before[id] != nil && len(d.plan.Steps) == 0
		switch {
		case spec == nil:
		case unchanged:
			// A change that changes nothing gives the app no new version.
			c.after[id] = d.before[id]
		case c.restart:
			c.after[id] = spec.stamped(version, nil)
		default:
			c.after[id] = spec.stamped(version, d.before[id])
		}
	}
	if m.config.TaskEra {
		d.plan.Original, d.plan.Target = m.rootGroups(c.after)
	}
	m.deployments = append(m.deployments, d)
	m.scriptDeployment(d)
	m.scriptGroupChange(d)
	return d, nil
}

// makeWay cancels the deployments in the way of d, or refuses d.
func (m *Marathon) makeWay(d *deployment) error {
	for _, other := range slices.Clone(m.deployments) {
		if !other.touches(d.after) {
			continue
		}
		if !d.force {
			m.publish(deploymentEnd{ID: d.plan.ID, Plan: d.plan, Reason: lockedReason, stamp: stamped("deployment_failed")})
			m.publish(groupChange{GroupID: d.group, Version: d.plan.Version, Reason: lockedReason, stamp: stamped("group_change_failed")})
			return fmt.Errorf("deploy %s: %w %s", d.plan.Version, ErrLocked, other.plan.ID)
		}
		m.cancel(other)
	}
	return nil
}

func (d *deployment) touches(specs map[string]*runSpec) bool {
	for id := range specs {
		if _, ok := d.after[id]; ok {
			return true
		}
	}
	return false
}

// scriptDeployment writes what the deployment itself does and publishes.
func (m *Marathon) scriptDeployment(d *deployment) {
	for n, s := range d.plan.Steps {
		m.agenda.add(&d.script,
			step{delay: m.config.Pace.Step, run: func() { m.begin(d, n) }},
			step{ready: func() bool { return m.done(d, s) }, run: func() { m.complete(d, s) }},
		)
	}
	m.agenda.add(&d.script, step{run: func() {
		d.announced = true
		m.publish(deploymentEnd{ID: d.plan.ID, Plan: d.plan, stamp: stamped("deployment_success")})
		m.finish(d)
	}})
}

// scriptGroupChange writes how the change becomes visible. The request's event
// may come before the group's.
func (m *Marathon) scriptGroupChange(d *deployment) {
	m.agenda.add(&d.groupScript,
		step{delay: m.config.Pace.Swap, ready: func() bool { return d.announced }, run: func() { m.swap(d) }},
		step{run: func() {
			m.publish(groupChange{GroupID: d.group, Version: d.plan.Version, stamp: stamped("group_change_success")})
		}},
	)
	m.agenda.add(&d.requestScript, step{ready: func() bool { return d.visible }, run: func() {
		if d.posted != nil {
			m.publish(d.posted())
		}
		close(d.shown)
	}})
}

// swap makes the change visible to REST.
func (m *Marathon) swap(d *deployment) {
	d.visible = true
	for id, spec := range d.after {
		if spec == nil {
			delete(m.root, id)
			delete(m.failures, id)
			continue
		}
		spec = spec.withServicePorts(m.servicePort)
		m.root[id] = spec
		m.remember(spec)
	}
	if d.group == "/" {
		m.rootVersion = d.plan.Version
	}
}

// visible reports whether REST shows all changes of the app or pod that are
// being deployed.
func (m *Marathon) visible(id string) bool {
	return !slices.ContainsFunc(m.deployments, func(d *deployment) bool {
		_, touched := d.after[id]
		return touched && !d.visible
	})
}

// begin announces a step of the plan and sets it going.
func (m *Marathon) begin(d *deployment, n int) {
	d.announced, d.current = true, n
	m.publish(deploymentStep{Plan: d.plan, CurrentStep: d.plan.Steps[n], stamp: stamped("deployment_info")})
	for _, a := range d.plan.Steps[n].Actions {
		spec := d.after[a.id()]
		if spec != nil {
			m.watchHealth(spec)
		}
		switch a.kind() {
		case stopApplication:
			m.unwatchHealth(a.id())
			m.scale(a.id(), nil, 0, nil)
		case scaleApplication:
			m.startReadiness(d, spec)
			m.scale(a.id(), spec, spec.Instances, d.victim)
		case restartApplication:
			m.startReadiness(d, spec)
			m.replace(spec)
		}
	}
}

// done reports whether everything that a step wants is there.
func (m *Marathon) done(d *deployment, s planStep) bool {
	return !slices.ContainsFunc(s.Actions, func(a action) bool {
		switch a.kind() {
		case startApplication:
			return false
		case stopApplication:
			return len(m.instances[a.id()]) > 0
		case restartApplication:
			return !m.settled(d.after[a.id()]) || m.outdated(d.after[a.id()])
		default:
			return !m.settled(d.after[a.id()])
		}
	})
}

// settled reports whether as many instances as wanted run and none is leaving.
func (m *Marathon) settled(spec *runSpec) bool {
	running := 0
	for _, i := range m.instances[spec.ID] {
		if i.stopping {
			return false
		}
		// What was there before this version is not waited for.
		if i.condition == "Running" && (i.spec.version != spec.version || m.serves(i)) {
			running++
		}
	}
	return running >= spec.Instances && m.leaving[spec.ID] == 0
}

// outdated reports whether an instance of another configuration is left.
func (m *Marathon) outdated(spec *runSpec) bool {
	return slices.ContainsFunc(m.instances[spec.ID], func(i *instance) bool {
		return i.active() && i.spec.version != spec.version
	})
}

func (m *Marathon) complete(d *deployment, s planStep) {
	for _, a := range s.Actions {
		if a.kind() == stopApplication {
			m.publish(appTerminated{AppID: a.id(), stamp: stamped("app_terminated_event")})
		}
	}
	m.publish(deploymentStep{Plan: d.plan, CurrentStep: s, stamp: stamped("deployment_step_success")})
}

func (m *Marathon) finish(d *deployment) {
	m.forgetReadiness(d)
	m.deployments = slices.DeleteFunc(m.deployments, func(other *deployment) bool { return other == d })
}

// cancel stops a deployment where it is: what it has begun stays.
func (m *Marathon) cancel(d *deployment) {
	m.agenda.abandon(&d.script)
	d.announced = true // a group change under way goes through
	for id := range d.after {
		delete(m.replacing, id)
	}
	m.publish(deploymentEnd{ID: d.plan.ID, Plan: d.plan, Reason: cancelledReason, stamp: stamped("deployment_failed")})
	m.finish(d)
}
