package plan

import (
	"consular/reconcile/desired"
)

// home returns the agent that a task's services belong to: that of its host, or the
// main agent while there is no way to that one and its node does not have them. It is
// nil while home cannot be read, or is not known.
func (p *comparison) home(w desired.Want) *Agent {
	a := p.agents[w.Host]
	switch {
	case a == nil:
		return nil
	case a.Err == nil && !a.Failed:
		return a
	case a.Unreachable && p.main != nil && a.OnNode != nil && !a.shows(w.Task):
		return p.main
	}
	return nil
}

// atHome returns a task's home, and what should be there of it.
func (p *comparison) atHome(w desired.Want) (desired.Want, *Agent) {
	home := p.home(w)
	if home != nil && home != p.agents[w.Host] {
		w = w.OffNode()
	}
	return w, home
}

// strandedTasks returns the tasks on hosts whose agents there is no way to.
func (p *comparison) strandedTasks() []string {
	var tasks []string
	for i := range p.actual.Agents {
		if a := &p.actual.Agents[i]; a.Unreachable && a != p.main {
			p.locked(func() { tasks = append(tasks, p.model.TasksOn(a.Hosts...)...) })
		}
	}
	return tasks
}

// standing tells how an agent stands to the services that have a home.
func (p *comparison) standing(a, home *Agent) func(id string) Standing {
	return func(id string) Standing {
		switch home {
		case a:
			return Home
		case nil:
			return HomeUnknown
		}
		s := find(home.Services, id)
		switch {
		case s == nil:
			return HomeLacks
		case !p.ours(*s):
			return HomeUnknown // its ID is somebody else's there
		default:
			return HomeHas
		}
	}
}

// shows reports whether the catalog shows any service of a task on a silent agent's
// node.
func (a *Agent) shows(task string) bool {
	for _, s := range a.OnNode {
		if desired.TaskOf(s) == task {
			return true
		}
	}
	return false
}

// host is the name by which the agent's worker goes. A dead node may have none.
func (a *Agent) host() string { return a.Hosts[0] }
