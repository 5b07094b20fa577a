package java

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"conpaas/agent/host/hosttest"
)

// static gives what nginx may serve of a program.
func static(t *testing.T, program map[string]string) string {
	t.Helper()
	h := hosttest.New(t)
	dir := h.State().Path("v/programs/ROOT")
	for name, text := range program {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if err := linkStatic(t.Context(), h, root, "v/programs/ROOT", "v/static"); err != nil {
		t.Fatal(err)
	}
	var all []string
	err = fs.WalkDir(os.DirFS(h.State().Path("v/static")), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			all = append(all, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// nginx gets the files that no servlet, filter or constraint of the program is about, and none where that cannot be told.
func TestStaticFiles(t *testing.T) {
	const all = "a.css admin/b.html docs/a.txt img/a.png"
	web := func(inside string) string {
		return `<?xml version="1.0"?><web-app xmlns="https://jakarta.ee/xml/ns/jakartaee" version="6.0">` + inside + `</web-app>`
	}
	servlet := func(pattern string) string {
		return web(`<servlet-mapping><servlet-name>s</servlet-name><url-pattern> ` + pattern + "\n" + `</url-pattern></servlet-mapping>`)
	}
	for name, c := range map[string]struct {
		file, text, want string
	}{
		"nothing said":             {"WEB-INF/readme", "", all},
		"an empty descriptor":      {deployment, web(""), all},
		"a servlet of one path":    {deployment, servlet("/a.css"), "admin/b.html docs/a.txt img/a.png"},
		"a servlet of a directory": {deployment, servlet("/admin/*"), "a.css docs/a.txt img/a.png"},
		"a servlet of an ending":   {deployment, servlet("*.css"), "admin/b.html docs/a.txt img/a.png"},
		"a servlet of all":         {deployment, servlet("/*"), ""},
		"the default servlet":      {deployment, servlet("/"), ""},
		"the root alone":           {deployment, servlet(""), ""},
		"a filter":                 {deployment, web(`<filter-mapping><filter-name>f</filter-name><url-pattern>/docs/*</url-pattern></filter-mapping>`), "a.css admin/b.html img/a.png"},
		"a filter of a servlet":    {deployment, web(`<filter-mapping><filter-name>f</filter-name><servlet-name>default</servlet-name></filter-mapping>`), ""},
		"a constraint": {
			deployment, web(`<security-constraint><web-resource-collection><url-pattern>/admin/*</url-pattern></web-resource-collection><auth-constraint/></security-constraint>`),
			"a.css docs/a.txt img/a.png",
		},
		"a type":                  {deployment, web(`<mime-mapping><extension>txt</extension><mime-type>text/x</mime-type></mime-mapping>`), "a.css admin/b.html img/a.png"},
		"pages":                   {deployment, web(`<jsp-config><jsp-property-group><url-pattern>*.html</url-pattern></jsp-property-group></jsp-config>`), "a.css docs/a.txt img/a.png"},
		"a broken descriptor":     {deployment, "<web-app><", ""},
		"valves":                  {"META-INF/context.xml", "<Context/>", ""},
		"an annotation":           {"WEB-INF/classes/A.class", "\xca\xfe\xba\xbe Ljakarta/servlet/annotation/WebServlet; ", ""},
		"an old annotation":       {"WEB-INF/classes/a/A.class", "\xca\xfe\xba\xbe Ljavax/servlet/annotation/WebFilter; ", ""},
		"a class that adds":       {"WEB-INF/classes/A.class", "Ljakarta/servlet/ServletRegistration$Dynamic;", ""},
		"an ordinary class":       {"WEB-INF/classes/A.class", "jakarta/servlet/http/HttpServlet", all},
		"a jar with a fragment":   {"WEB-INF/lib/a.jar", string(pack(t, map[string]string{"META-INF/web-fragment.xml": "<web-fragment/>"})), ""},
		"a jar with a class":      {"WEB-INF/lib/a.jar", string(pack(t, map[string]string{"a/B.class": "servlet/annotation/ServletSecurity"})), ""},
		"a jar with a beginner":   {"WEB-INF/lib/a.jar", string(pack(t, map[string]string{"META-INF/services/jakarta.servlet.ServletContainerInitializer": "a.B"})), ""},
		"an ordinary jar":         {"WEB-INF/lib/a.jar", string(pack(t, map[string]string{"a/B.class": "java/lang/Object"})), all},
		"a jar that is none":      {"WEB-INF/lib/a.jar", "no jar", ""},
		"a directory of the kind": {"docs/WEB-INF/x.txt", "", "a.css admin/b.html docs/WEB-INF/x.txt docs/a.txt img/a.png"},
	} {
		t.Run(name, func(t *testing.T) {
			program := map[string]string{
				"a.css": "1", "admin/b.html": "2", "docs/a.txt": "3", "img/a.png": "4", "index.jsp": "5", "old.JSPX": "6", ".hidden": "7", ".git/config": "8",
				"WEB-INF/secret.txt": "9", "meta-inf/MANIFEST.MF": "10", c.file: c.text,
			}
			if got := static(t, program); got != c.want {
				t.Errorf("nginx serves %q, want %q", got, c.want)
			}
		})
	}
}
