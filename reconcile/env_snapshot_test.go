package reconcile_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"

	"github.com/hashicorp/consul/api"

	"consular/consul"
)

// What is in Consul, what should be, and how they differ.

// snapshot is what is in Consul, or should be: services by "host task", keys by
// their whole names, values with the owner.
type snapshot struct {
	services map[string]consul.Service
	keys     map[string]string
}

// actual is everything below the prefix, and on all agents that answer.
func (s *env) actual() snapshot {
	p := snapshot{services: map[string]consul.Service{}, keys: map[string]string{}}
	for host, agent := range s.agents() {
		services, err := agent.Services()
		if err != nil {
			continue // it is dead
		}
		for id, x := range services {
			p.services[host+" "+id] = consul.Service{
				ID: id, Name: x.Service, Address: x.Address, Port: x.Port, Tags: x.Tags, Meta: x.Meta,
			}
		}
	}
	pairs, _, err := s.api(s.dev.Server()).KV().List(s.prefix+"/", nil)
	if err != nil {
		p.keys["error"] = err.Error()
	}
	for _, pair := range pairs {
		p.keys[pair.Key] = fmt.Sprintf("%s (%d)", pair.Value, pair.Flags)
	}
	return p
}

// desired is what Marathon says should be there, said without package reconcile.
func (s *env) desired() snapshot {
	p := snapshot{services: map[string]consul.Service{}, keys: map[string]string{}}
	owner := consul.Owner{RegistrationID: s.id}
	name := func(app string) string { return strings.ReplaceAll(app[1:], "/", "-") }
	for _, app := range s.marathon.Apps() {
		for label, value := range app.Labels {
			if s.format == consul.FormatJSON {
				text, err := json.Marshal(value)
				must(s.t, err)
				value = string(text)
			}
			p.keys[s.prefix+"/"+name(app.ID)+"/"+label] = fmt.Sprintf("%s (%d)", value, owner.Flags())
		}
	}
	for _, task := range s.marathon.Tasks("") {
		if task.State != "TASK_RUNNING" {
			continue
		}
		x := consul.Service{
			ID: task.ID, Name: name(task.AppID), Address: task.Host, Tags: owner.Tags(task.AppID),
			Meta: map[string]string{
				consul.MetaApp: task.AppID, consul.MetaTask: task.ID, consul.MetaVersion: task.Version,
				consul.MetaFramework: s.framework(),
			},
		}
		if len(task.Ports) > 0 {
			x.Port = task.Ports[0]
		}
		p.services[task.Host+" "+task.ID] = x
	}
	return p
}

// framework is the Marathon's, by its own words.
func (s *env) framework() string {
	answer := httptest.NewRecorder()
	s.marathon.Handler().ServeHTTP(answer, httptest.NewRequest("GET", "/v2/info", nil))
	var info struct{ FrameworkID string }
	must(s.t, json.Unmarshal(answer.Body.Bytes(), &info))
	return info.FrameworkID
}

// and adds what is somebody else's.
func (p snapshot) and(others ...snapshot) snapshot {
	sum := snapshot{services: maps.Clone(p.services), keys: maps.Clone(p.keys)}
	for _, o := range others {
		maps.Copy(sum.services, o.services)
		maps.Copy(sum.keys, o.keys)
	}
	return sum
}

// diff says how p differs from want; "" when it does not.
func (p snapshot) diff(want snapshot) string {
	var lines []string
	for id := range p.and(want).services {
		have, is := p.services[id]
		should, wanted := want.services[id]
		if is != wanted || is && !reflect.DeepEqual(have, should) {
			lines = append(lines, fmt.Sprintf("service %s: have %+v, want %+v", id, have, should))
		}
	}
	for key := range p.and(want).keys {
		if have, should := p.keys[key], want.keys[key]; have != should {
			lines = append(lines, fmt.Sprintf("key %s: have %q, want %q", key, have, should))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// want checks that Consul holds what Marathon says, and the others' things.
func (s *env) want(others ...snapshot) {
	s.t.Helper()
	if diff := s.actual().diff(s.desired().and(others...)); diff != "" {
		s.t.Errorf("Consul is not what it should be:\n%s", diff)
	}
}

// converges waits until want would pass.
func (s *env) converges(others ...snapshot) {
	s.t.Helper()
	eventually(s.t, "Consul is what it should be", func() string {
		return s.actual().diff(s.desired().and(others...))
	})
}

// foreign is a service and a key that are none of ours.
func (s *env) foreign() snapshot {
	s.t.Helper()
	agent := s.dev.Clients()[0]
	must(s.t, s.api(agent).Agent().ServiceRegister(&api.AgentServiceRegistration{
		ID: "database.1", Name: "database", Address: "10.9.9.9", Port: 5432, Tags: []string{"by-hand"},
	}))
	pair := &api.KVPair{Key: s.prefix + "/database/password-hint", Value: []byte("none"), Flags: 77}
	_, err := s.api(agent).KV().Put(pair, nil)
	must(s.t, err)
	return s.actual().only(func(id string) bool { return strings.Contains(id, "database") })
}

// only returns the part of p whose services and keys have such names.
func (p snapshot) only(named func(string) bool) snapshot {
	part := p.and()
	maps.DeleteFunc(part.services, func(id string, _ consul.Service) bool { return !named(id) })
	maps.DeleteFunc(part.keys, func(key string, _ string) bool { return !named(key) })
	return part
}
