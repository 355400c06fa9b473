package reconcile_test

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/consul/api"

	"consular/consul/devconsul"
)

// trafficKeys are labels as consular keeps them, right and wrong ones.
var trafficKeys = map[string]map[string]string{
	"shop-web": {
		"HAPROXY_GROUP": "external", "HAPROXY_0_VHOST": "Shop.Test, www.shop.test", "HAPROXY_0_STICKY": "true",
		"HAPROXY_0_REDIRECT_TO_HTTPS": "true", "owner": "the shop team",
		"HAPROXY_1_VHOST": "admin.test", "HAPROXY_1_GROUP": "internal, external",
		"HAPROXY_2_VHOST": "metrics.test", "consul.port.2.name": "shop-web-metrics",
	},
	"shop-api":  {"HAPROXY_GROUP": "external", "HAPROXY_0_VHOST": "shop.test", "HAPROXY_0_PATH": "-i /api /v2/api", "HAPROXY_0_BALANCE": "leastconn"},
	"shop-beta": {"HAPROXY_GROUP": "beta", "HAPROXY_0_VHOST": "shop.test", "HAPROXY_0_PATH": "/v2", "HAPROXY_0_BACKEND_WEIGHT": "5"},
	"named":     {"HAPROXY_GROUP": "external", "HAPROXY_0_VHOST": "named.test", "consul.name": "short"},
	"nobody":    {"HAPROXY_GROUP": "external", "HAPROXY_0_VHOST": "nobody.test"},
	"database":  {"HAPROXY_GROUP": "external", "HAPROXY_0_PORT": "10001"},
	"own-http":  {"HAPROXY_GROUP": "external", "HAPROXY_0_PORT": "10002", "HAPROXY_0_MODE": "http"},
	"inside":    {"HAPROXY_GROUP": "internal", "HAPROXY_0_VHOST": "inside.test"},
	"off":       {"HAPROXY_GROUP": "external", "HAPROXY_0_VHOST": "off.test", "HAPROXY_0_ENABLED": "false"},
	"unlabelled": {
		"owner": "somebody",
	},
	"taken-port":  {"HAPROXY_GROUP": "external", "HAPROXY_0_PORT": "10001", "HAPROXY_0_MODE": "http"},
	"bad-port":    {"HAPROXY_GROUP": "external", "HAPROXY_0_PORT": "22"},
	"bad-number":  {"HAPROXY_GROUP": "external", "HAPROXY_0_PORT": "ssh"},
	"bad-vhost":   {"HAPROXY_GROUP": "external", "HAPROXY_0_VHOST": "x.test }\n    bind :22; server {"},
	"bad-flag":    {"HAPROXY_GROUP": "external", "HAPROXY_0_VHOST": "-f,passwd"},
	"bad-path":    {"HAPROXY_GROUP": "external", "HAPROXY_0_VHOST": "shop.test", "HAPROXY_0_PATH": "/a;b"},
	"bad-balance": {"HAPROXY_GROUP": "external", "HAPROXY_0_VHOST": "bad.test", "HAPROXY_0_BALANCE": "magic", "HAPROXY_0_BACKEND_WEIGHT": "much"},
	"bad-mode":    {"HAPROXY_GROUP": "external", "HAPROXY_0_VHOST": "bad.test", "HAPROXY_0_MODE": "tcp"},
	"bad.name":    {"HAPROXY_GROUP": "external", "HAPROXY_0_VHOST": "dots.test"},
	"bad_name":    {"HAPROXY_GROUP": "external", "HAPROXY_0_VHOST": "underscore.test"},
	"bad-nothing": {"HAPROXY_GROUP": "external"},
}

// trafficServices are as consular registers tasks with several ports, and others beside.
var trafficServices = []api.AgentServiceRegistration{
	{ID: "shop_web.2", Name: "shop-web", Address: "10.0.0.3", Port: 31002},
	{ID: "shop_web.1", Name: "shop-web", Address: "10.0.0.2", Port: 31001},
	{ID: "shop_web.1:1", Name: "shop-web-1", Address: "10.0.0.2", Port: 31003},
	{ID: "shop_web.1:metrics", Name: "shop-web-metrics", Address: "10.0.0.2", Port: 31004},
	{ID: "shop_api.1", Name: "shop-api", Address: "10.0.0.2", Port: 31011},
	{ID: "shop_api.6", Name: "shop-api", Address: "2001:db8::6", Port: 31011},
	{ID: "shop_api.dead", Name: "shop-api", Address: "10.0.0.2", Port: 31012, Check: &api.AgentServiceCheck{TTL: "1h", Status: "critical"}},
	{ID: "shop_beta.1", Name: "shop-beta", Address: "host-without-address.invalid", Port: 31021},
	{ID: "named.1", Name: "short", Address: "10.0.0.2", Port: 31031},
	{ID: "database.1", Name: "database", Address: "10.0.0.2", Port: 31041},
	{ID: "database.no-port", Name: "database", Address: "10.0.0.2"},
	{ID: "somebody else's", Name: "database", Address: "10.0.0.2", Port: 5432},
	{ID: "own_http.1", Name: "own-http", Address: "10.0.0.2", Port: 31051},
	{ID: "inside.1", Name: "inside", Address: "10.0.0.2", Port: 31061},
}

// checkTemplates looks at what the templates make of all that labels can say, line by line.
func checkTemplates(t *testing.T, binaries trafficBinaries) {
	agent := devconsul.RunConfig(t, devconsul.Config{Binary: binaries.consul}).Server()
	client, err := api.NewClient(&api.Config{Address: agent.Address(), HttpClient: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}})
	if err != nil {
		t.Fatal(err)
	}
	for app, labels := range trafficKeys {
		for label, value := range labels {
			if _, err := client.KV().Put(&api.KVPair{Key: "consular/" + app + "/" + label, Value: []byte(value)}, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, service := range trafficServices {
		if err := client.Agent().ServiceRegister(&service); err != nil {
			t.Fatal(err)
		}
	}
	certificate := trafficCertificate(t)
	for name, test := range map[string]struct {
		template    string
		environment []string
	}{
		"haproxy.cfg":          {"haproxy.ctmpl", nil},
		"haproxy-internal.cfg": {"haproxy.ctmpl", []string{"HAPROXY_GROUP=internal", "HAPROXY_ADDRESS=127.0.0.1", "HAPROXY_HTTP=8080"}},
		"haproxy-https.cfg":    {"haproxy.ctmpl", []string{"HAPROXY_GROUP=*", "HAPROXY_CERTS=" + certificate}},
		"nginx.conf":           {"nginx.ctmpl", nil},
	} {
		t.Run(name, func(t *testing.T) {
			got := renderTraffic(t, binaries.template, test.template, append(test.environment, "CONSUL_HTTP_ADDR="+agent.Address())...)
			checkTrafficSyntax(t, test.template, got)
			golden := filepath.Join("testdata", "traffic", name)
			got = bytes.ReplaceAll(got, []byte(certificate), []byte("/etc/haproxy/certs"))
			if *trafficUpdate {
				if err := os.WriteFile(golden, got, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("differs from %s (-traffic.update writes it anew):\n%s", golden, got)
			}
		})
	}
}

// checkTrafficSyntax asks the proxy itself.
func checkTrafficSyntax(t *testing.T, template string, configuration []byte) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "rendered")
	if err := os.WriteFile(file, configuration, 0o600); err != nil {
		t.Fatal(err)
	}
	check := exec.CommandContext(t.Context(), "haproxy", "-c", "-f", file)
	if template == "nginx.ctmpl" {
		check = exec.CommandContext(t.Context(), "nginx", "-t", "-e", "stderr", "-p", dir, "-c", trafficNginxFile(t, file))
	}
	if output, err := check.CombinedOutput(); err != nil {
		t.Errorf("%v: %s\n%s", err, output, configuration)
	}
}

// trafficNginxFile returns a configuration around what is rendered.
func trafficNginxFile(t *testing.T, rendered string) string {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "nginx.conf")
	text := strings.ReplaceAll(`daemon off; pid DIR/nginx.pid; error_log stderr;
events {}
http {
    access_log off;
    client_body_temp_path DIR; proxy_temp_path DIR; fastcgi_temp_path DIR; uwsgi_temp_path DIR; scgi_temp_path DIR;
    include `+rendered+`;
}
`, "DIR", dir)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// trafficCertificate returns a file with a certificate and its key.
func trafficCertificate(t *testing.T) string {
	t.Helper()
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	own := server.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(own.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "certificate.pem")
	text := slices.Concat(
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: own.Certificate[0]}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// checkReloads looks at all configurations that HAProxy had: each is another one than the
// one before, and the labels of an app that changed together are all in it, or none.
func (s *trafficSite) checkReloads() {
	s.Helper()
	all := s.configurations()
	for n, c := range all {
		if n > 0 && bytes.Equal(c.text, all[n-1].text) {
			s.Errorf("reload %d of %d changed nothing", n, len(all))
		}
		if bytes.Contains(c.text, []byte("older.test")) != bytes.Contains(c.text, []byte("/older")) {
			s.Errorf("reload %d of %d has half of an app's labels:\n%s", n, len(all), c.text)
		}
	}
}

// checkNginx has nginx serve the same labels.
func (s *trafficSite) checkNginx() {
	s.Helper()
	rendered := filepath.Join(s.dir, "consular.conf")
	s.must(os.WriteFile(rendered, s.render("nginx.ctmpl"), 0o600))
	s.start("nginx", "nginx", "-e", "stderr", "-p", s.dir, "-c", trafficNginxFile(s.T, rendered))
	get := trafficVisitor{method: http.MethodGet}
	ask := func(host, path string) (http.Header, error) {
		return get.ask(&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, s.address+":"+trafficNginx, host, path, "hello")
	}
	for target, app := range map[string]string{"shop.test/": "/shop/web", "shop.test/api/": "/shop/api", "old.test/": "/shop/new"} {
		host, path, _ := strings.Cut(target, "/")
		s.until("nginx to answer for "+target, func() string {
			answer, err := ask(host, "/"+path)
			if err != nil {
				return err.Error()
			}
			if got := answer.Get("X-App"); got != app {
				s.Errorf("nginx has %s answer for %s, want %s", got, target, app)
			}
			return ""
		})
	}
	if _, err := ask("nobody.test", "/"); err == nil || !strings.HasPrefix(err.Error(), "404") {
		s.Errorf("nginx answers for a host that nobody has: %v", err)
	}
}
