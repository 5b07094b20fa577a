package e2e

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"conpaas/client/api"
)

// Whatever dies in the middle of whatever is done to a Java program: it is done in the end, the version that serves is the one that was
// asked for, and sessions go on unless the machine that keeps them is lost.
func TestFaultJava(t *testing.T) { walks(t, "java", 1, javaWalk) }

const javaPage = `<% Integer n = (Integer) session.getAttribute("n"); session.setAttribute("n", n = n == null ? 1 : n + 1); %>visit <%= n %> VERSION `

func javaWalk(w *walk) {
	w.programs = []string{"org.apache.catalina", "nginx: master", "redis-server", "haproxy", " overlay "}
	w.within = 4 * time.Second
	w.cps("application", "create", "shop")
	w.cps("service", "add", "java", "shop", "--set", "max_heap=64M")
	w.cps("service", "start", "shop", "java")
	one := w.upload("java", map[string]string{"index.jsp": javaPage + "one"})
	two := w.upload("java", map[string]string{"index.jsp": javaPage + "two"})
	broken := w.upload("java", map[string]string{"index.jsp": javaPage + "broken", "WEB-INF/web.xml": "<web-app><listener>"})
	w.cps("java", "enable-code", "shop", "java", one)

	visits, lost := 0, 0
	var visitor *blogger
	serves := func(version string, machines int) func() error {
		return func() error {
			if err := w.reached(machines); err != nil {
				return err
			}
			urls, err := w.tryEndpointsOf("java")
			if err != nil {
				return err
			}
			proxies := 0
			for _, role := range w.lost {
				if role == api.RoleProxy {
					proxies++
				}
			}
			if visitor == nil || proxies > lost || !slices.Contains(urls, visitor.url) {
				visitor, visits, lost = newBlogger(w.t, urls[0]), 0, proxies
			}
			text, err := visitor.get("/")
			if err != nil {
				return err
			}
			var n int
			var is string
			if _, err := fmt.Sscanf(text, "visit %d VERSION %s", &n, &is); err != nil {
				return fmt.Errorf("%w: %.200s", err, text)
			}
			if is != version {
				return fmt.Errorf("version %s serves, want %s", is, version)
			}
			if n <= visits {
				w.t.Errorf("it counts %d visits, there were %d", n, visits)
			}
			visits = n
			return nil
		}
	}
	w.eventually(time.Minute, "it serves", serves("one", 1))
	w.step(api.OperationSucceeded, serves("one", 3), "service", "add-nodes", "shop", "java", "--backend", "2")
	w.step(api.OperationSucceeded, serves("two", 3), "java", "enable-code", "shop", "java", two)
	w.step(api.OperationFailed, serves("two", 3), "java", "enable-code", "shop", "java", broken)
	w.step(api.OperationSucceeded, serves("two", 3), "java", "config", "shop", "java", "max_heap=80M")
	w.step(api.OperationSucceeded, serves("two", 2), "service", "remove-nodes", "shop", "java", "--backend", "1")
	w.step(api.OperationSucceeded, serves("one", 2), "java", "enable-code", "shop", "java", one)
	w.step(api.OperationSucceeded, func() error { return w.exactly(0) }, "service", "stop", "shop", "java")
	visitor = nil
	w.step(api.OperationSucceeded, serves("one", 2), "service", "start", "shop", "java")
}
