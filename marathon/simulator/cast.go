package simulator

import "time"

// cast are the apps of the demo's story: a small shop, its observability and
// its batch jobs, in every network mode, with the labels such apps carry.
func cast() []App {
	return []App{
		watched(tagged(hosted("/shop/web", 3, proxied("shop.example.com", map[string]string{"team": "storefront"}), "http", "admin"), "urlprefix-shop.example.com/", "backstage")),
		bridged("/shop/api", 2, routed("api.shop.example.com", "/v1"), 8080),
		bridged("/shop/cart", 2, routed("api.shop.example.com", "/v1/cart"), 8080),
		bridged("/shop/checkout", 1, routed("pay.shop.example.com", "/"), 8443),
		overlaid("/shop/search", 2, map[string]string{"team": "discovery", "index": "products-v7"}, 9200),
		hosted("/shop/images", 2, proxied("img.example.com", map[string]string{"HAPROXY_0_STICKY": "false"}), "http"),
		measured(hosted("/identity/login", 2, proxied("login.example.com", map[string]string{"HAPROXY_0_REDIRECT_TO_HTTPS": "true"}), "http", "metrics")),
		overlaid("/identity/tokens", 1, map[string]string{"team": "identity", "VIP_0": "tokens:80"}, 8080),
		bridged("/observability/grafana", 1, routed("grafana.example.com", "/"), 3000),
		overlaid("/observability/prometheus", 1, map[string]string{"prometheus.io/scrape": "true", "prometheus.io/path": "/metrics"}, 9090),
		hosted("/mail/relay", 1, map[string]string{"team": "platform", "VIP_0": "relay:25"}, "smtp"),
		{ID: "/batch/invoices", Instances: 1, Cmd: "exec ./invoices", Labels: map[string]string{"team": "billing", "schedule": "nightly"}, Ports: []Port{}},
	}
}

func hosted(id string, instances int, labels map[string]string, ports ...string) App {
	app := App{ID: id, Instances: instances, Labels: labels, Cmd: "exec ./run"}
	for _, name := range ports {
		app.Ports = append(app.Ports, Port{Name: name})
	}
	return app
}

// watched has a health check that is made often enough to watch.
func watched(app App) App {
	app.HealthChecks = []HealthCheck{{Path: "/health", GracePeriod: 30 * time.Second, Interval: 2 * time.Second, Timeout: time.Second}}
	return app
}

func bridged(id string, instances int, labels map[string]string, port int) App {
	return App{
		ID: id, Instances: instances, Labels: labels, Network: Bridge,
		Ports: []Port{{Name: "http", Container: port}},
	}
}

func overlaid(id string, instances int, labels map[string]string, port int) App {
	return App{
		ID: id, Instances: instances, Labels: labels, Network: Container,
		Ports: []Port{{Name: "http", Container: port}},
	}
}

// tagged has consular register both ports, the first with a tag, which is what fabio reads,
// and the second by a name of its own.
func tagged(app App, tag, second string) App {
	app.Labels["consul.tags"] = tag
	app.Labels["consul.port."+app.Ports[1].Name+".name"] = second
	return app
}

// measured has consular register the second port for a Prometheus to find, by a tag.
func measured(app App) App {
	app.Ports[1].Labels = map[string]string{"consul.tags": "prometheus"}
	return app
}

// proxied are labels that marathon-lb reads.
func proxied(host string, labels map[string]string) map[string]string {
	labels["HAPROXY_GROUP"] = "external"
	labels["HAPROXY_0_VHOST"] = host
	return labels
}

// routed are labels that Traefik reads.
func routed(host, path string) map[string]string {
	return map[string]string{
		"traefik.enable":              "true",
		"traefik.frontend.rule":       "Host:" + host + ";PathPrefix:" + path,
		"traefik.backend.healthcheck": "/health",
	}
}
