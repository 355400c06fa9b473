package simulator

import "time"

// launch schedules a new instance of spec and sees it through to TASK_RUNNING.
func (m *Marathon) launch(spec *runSpec) {
	i := &instance{id: m.instanceID(spec.ID), spec: spec, condition: "Scheduled"}
	m.instances[spec.ID] = append(m.instances[spec.ID], i)
	m.agenda.add(&i.script, step{run: func() { m.publishCondition(i, "Scheduled") }})
	m.place(i, m.config.Pace.Offer)
}

// place waits for an offer that fits and starts the instance's tasks there.
// No task starts before REST shows the app.
func (m *Marathon) place(i *instance, wait time.Duration) {
	pace := m.config.Pace
	m.agenda.add(&i.script,
		step{
			delay: wait,
			ready: func() bool { return m.visible(i.spec.ID) && m.offer(i.spec) != nil },
			run:   func() { m.provision(i) },
		},
		step{delay: pace.Start, run: func() {
			if !m.config.TaskEra {
				m.update(i, "TASK_STARTING", "")
			}
		}},
		step{delay: pace.Run, run: func() { m.update(i, "TASK_RUNNING", "") }},
	)
}

// offer returns a host that can take an instance of spec, or nil. It is the
// one with the fewest tasks, so that an app is spread.
func (m *Marathon) offer(spec *runSpec) *host {
	if spec.CPUs > HostCPUs {
		return nil
	}
	var best *host
	for _, h := range m.hosts {
		if !h.lost && h.offers(spec) && (best == nil || m.load[h] < m.load[best]) {
			best = h
		}
	}
	return best
}

// provision puts the instance on a host, with ports but no addresses yet.
func (m *Marathon) provision(i *instance) {
	i.host = m.offer(i.spec)
	m.load[i.host]++
	i.attempt++
	i.tasks = nil
	staged := i.staging()
	for _, c := range i.spec.tasks() {
		i.tasks = append(i.tasks, &task{
			id:     m.taskID(i, c.Name),
			state:  "TASK_STAGING",
			ports:  i.host.takePorts(i.spec.hostPorts(c.Ports), m.random),
			staged: staged,
		})
	}
	m.relaunched(i)
	m.publishCondition(i, "Provisioned")
	if m.config.TaskEra {
		m.publishStatus(i, i.tasks[0], "")
	}
}

// hostPorts are the host ports that a task asks for, in order; 0 is any.
func (s *runSpec) hostPorts(ports []Port) []int {
	var asked []int
	for _, p := range ports {
		switch {
		case !p.OnHost:
		case s.RequirePorts:
			asked = append(asked, p.Service)
		default:
			asked = append(asked, p.HostPort)
		}
	}
	return asked
}
