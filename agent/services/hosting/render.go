package hosting

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"text/template"
)

//go:embed templates
var files embed.FS

// program is the template that says what the nginx of role web does with a request, of the type.
const program = "program.conf"

// Render fills the template of the directory templates of a file system, which may use nginx-http.conf of this package.
// Values were let through by a check or made here.
func Render(from fs.FS, name string, values any) ([]byte, error) {
	return render(from, name, values, nil)
}

// render is Render with the program of a type, nil for none.
func render(from fs.FS, name string, values any, web fs.FS) ([]byte, error) {
	t, err := template.New(name).Option("missingkey=error").ParseFS(files, "templates/nginx-http.conf")
	if err == nil && web != nil {
		t, err = t.ParseFS(web, "templates/"+program)
	}
	if err == nil {
		t, err = t.ParseFS(from, "templates/"+name)
	}
	if err != nil {
		return nil, fmt.Errorf("read the template of %s: %w", name, err)
	}
	var text bytes.Buffer
	if err := t.ExecuteTemplate(&text, name, values); err != nil {
		return nil, fmt.Errorf("make %s: %w", name, err)
	}
	return text.Bytes(), nil
}
