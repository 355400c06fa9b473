package marathon

import (
	"cmp"
	"fmt"
)

// appJSON is an app in every form that Marathon 0.7 to 1.11 writes: what a
// version does not know is absent or null. Slices tell absent (nil) from [].
type appJSON struct {
	ID          string          `json:"id"`
	Version     string          `json:"version"`
	VersionInfo versionInfoJSON `json:"versionInfo"`
	Instances   *int            `json:"instances"`
	// Labels and Tasks, of which there may be any number, are read one by one by an
	// appsReader. TaskProblems are what is left out of the tasks.
	Labels       map[string]string `json:"-"`
	Tasks        []Task            `json:"-"`
	TaskProblems []string          `json:"-"`

	Container containerJSON `json:"container"`
	// Networks is Marathon's from 1.5 on, IPAddress and Container.Docker.Network before.
	Networks        []networkJSON        `json:"networks"`
	IPAddress       *ipAddressJSON       `json:"ipAddress"`
	PortDefinitions []portDefinitionJSON `json:"portDefinitions"`
	// Ports are service ports, one for each declaration: all there was before 1.0.
	Ports []int `json:"ports"`

	HealthChecks    optional[[]healthCheckJSON]    `json:"healthChecks"`
	ReadinessChecks optional[[]readinessCheckJSON] `json:"readinessChecks"`
	// ReadinessCheckResults are absent unless embed asks for readiness.
	ReadinessCheckResults optional[[]readinessCheckResultJSON] `json:"readinessCheckResults"`
	Deployments           optional[[]deploymentJSON]           `json:"deployments"`
}

type versionInfoJSON struct {
	LastScalingAt      string `json:"lastScalingAt"`
	LastConfigChangeAt string `json:"lastConfigChangeAt"`
}

type taskJSON struct {
	ID   string `json:"id"`
	Host string `json:"host"`
	// State is absent before 1.3.
	State              State                             `json:"state"`
	StagedAt           instant                           `json:"stagedAt"`
	StartedAt          instant                           `json:"startedAt"`
	HealthCheckResults optional[[]healthCheckResultJSON] `json:"healthCheckResults"`
	IPAddresses        []addressJSON                     `json:"ipAddresses"`
	Ports              []int                             `json:"ports"`
	Version            string                            `json:"version"`
}

// app returns what a means, or the first field that makes no sense. What of it
// others have as well is taken from one.
func (a *appJSON) app(one *texts) (App, error) {
	if err := checkID(a.ID); err != nil {
		return App{}, err
	}
	definition, err := a.definition(one)
	if err != nil {
		return App{}, err
	}
	app := App{
		ID:                 a.ID,
		Version:            one.text(a.Version),
		LastScalingAt:      one.text(a.VersionInfo.LastScalingAt),
		LastConfigChangeAt: one.text(a.VersionInfo.LastConfigChangeAt),
		Instances:          a.instances(),
		Labels:             definition.Labels,
		Definition:         definition,
		Tasks:              a.Tasks,
		Problems:           a.TaskProblems,
	}
	if a.Tasks == nil {
		// Every answer that we ask for has it. To take its absence for "no tasks"
		// would be to take all of them for gone.
		return App{}, missing("tasks")
	}
	for i := range app.Tasks {
		app.Tasks[i].AppID = a.ID
	}
	if untold := definition.untold(app.Tasks, app.Runs); untold != nil {
		app.Definition.Problems = append(app.Definition.Problems, untold.Error())
	}
	a.deploying(&app, one)
	return app, nil
}

// deploying reads what an answer tells of the app's deployments.
func (a *appJSON) deploying(app *App, one *texts) {
	app.leaveOut(a.Deployments.wrong, "field deployments")
	app.leaveOut(a.ReadinessCheckResults.wrong, "field readinessCheckResults")
	if a.Deployments.given {
		app.Deployments = []string{}
		for _, d := range a.Deployments.value {
			app.Deployments = append(app.Deployments, one.text(d.ID))
		}
	}
	if a.ReadinessCheckResults.given {
		app.ReadinessCheckResults = []ReadinessCheckResult{}
		for _, r := range a.ReadinessCheckResults.value {
			app.ReadinessCheckResults = append(app.ReadinessCheckResults, ReadinessCheckResult{Name: one.text(r.Name), TaskID: one.text(r.TaskID), Ready: r.Ready})
		}
	}
}

// leaveOut notes that something of the answer was not understood, if there is an error.
func (a *App) leaveOut(wrong error, what string, args ...any) {
	a.Problems = withProblem(a.Problems, wrong, what, args...)
}

// maxProblems is how many problems of an app, or of its definition, are told in words.
const maxProblems = 20

// withProblem returns problems with one more, if there is an error.
func withProblem(problems []string, wrong error, what string, args ...any) []string {
	switch {
	case wrong == nil || len(problems) > maxProblems:
		return problems
	case len(problems) == maxProblems:
		return append(problems, "and more")
	}
	return append(problems, fmt.Sprintf(what, args...)+": "+wrong.Error())
}

func (a *appJSON) instances() int {
	if a.Instances == nil || *a.Instances < 0 {
		return InstancesNotTold
	}
	return *a.Instances
}

// task returns what t means. Its app is told by the app that lists it.
func (t *taskJSON) task(one *texts) (Task, error) {
	if t.ID == "" {
		return Task{}, missing("id")
	}
	if err := checkPorts(t.Ports); err != nil {
		return Task{}, err
	}
	return Task{
		ID:        t.ID,
		StagedAt:  t.StagedAt.Time,
		StartedAt: t.StartedAt.Time,
		Host:      one.text(t.Host),
		State:     State(one.text(string(cmp.Or(t.State, t.impliedState())))),
		Addresses: one.list(addressesOf(t.IPAddresses)),
		Ports:     t.Ports,
		Version:   one.text(t.Version),
	}, nil
}

// impliedState is the state of a task that has none, as those of Marathon
// before 1.3, which listed nothing but staged and running tasks.
func (t *taskJSON) impliedState() State {
	if t.StartedAt.given {
		return TaskRunning
	}
	return TaskStaging
}
