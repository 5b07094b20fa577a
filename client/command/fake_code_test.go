package command_test

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"maps"
	"net/http"
	"strconv"

	"conpaas/client/api"
)

// addPHP makes the service php of application shop, with a version that its machines refuse.
func (f *fake) addPHP() {
	f.services = append(f.services, api.Service{
		ID: 7, Application: 1, Type: api.PHP, Name: "php", Cloud: "default", State: api.StateRunning, Since: begun, Created: begun,
		Nodes: map[api.Role]int{"proxy": 1, "web": 0, "backend": 0}, Ready: 1, Machines: 1,
		Settings: map[string]string{"memory_limit": "128M", "display_errors": "Off", "disable_functions": ""},
	})
	f.codes = []api.CodeVersion{
		{ID: api.CodeDefault, Created: begun, Enabled: true},
		{ID: "code-broken", Description: hostile, Filename: "b.zip", Format: "zip", Size: 7, Created: begun, Reason: "n2: PHP Parse error: syntax error"},
	}
}

func (f *fake) codeRoutes(add func(pattern, query string, public bool, h func(http.ResponseWriter, *http.Request)), service string) {
	add("PUT "+service+"/settings", "", false, f.withService(f.configure))
	add("GET "+service+"/code", "after", false, f.withService(func(w http.ResponseWriter, r *http.Request, _ *api.Service) { list(f, w, r, f.codes) }))
	add("POST "+service+"/code", "filename description enable sha256 offset", false, f.withService(f.uploadCode))
	add("GET "+service+"/code/uploads/{sha256}", "size", false, f.withService(f.uploadedCode))
	add("POST "+service+"/code/enable", "", false, f.withService(func(w http.ResponseWriter, r *http.Request, s *api.Service) {
		in, ok := body[api.CodeEnable](f, w, r)
		if ok && f.enable(w, in.Version) {
			f.begin(api.OpServiceCode)(w, r)
		}
	}))
	add("GET "+service+"/code/{version}", "", false, f.withService(f.downloadCode))
	add("DELETE "+service+"/code/{version}", "", false, f.withService(func(w http.ResponseWriter, r *http.Request, _ *api.Service) {
		for i, v := range f.codes {
			switch {
			case v.ID != r.PathValue("version"):
			case v.Enabled:
				problem(w, api.Errorf(api.CodeConflict, "%s is enabled; enable another version first", v.ID))
				return
			default:
				f.codes = append(f.codes[:i:i], f.codes[i+1:]...)
				w.WriteHeader(http.StatusNoContent)
				return
			}
		}
		problem(w, api.Errorf(api.CodeNotFound, "there is no code version %q", r.PathValue("version")))
	}))
}

func (f *fake) configure(w http.ResponseWriter, r *http.Request, s *api.Service) {
	in, ok := body[api.SettingsChange](f, w, r)
	if !ok {
		return
	}
	for name := range in.Settings {
		if _, known := s.Settings[name]; !known {
			problem(w, api.InField("settings."+name, "service type %s has no such setting", s.Type))
			return
		}
	}
	maps.Copy(s.Settings, in.Settings)
	f.begin(api.OpServiceConfigure)(w, r)
}

func (f *fake) enable(w http.ResponseWriter, version string) bool {
	found := false
	for i, v := range f.codes {
		f.codes[i].Enabled = v.ID == version
		found = found || v.ID == version
	}
	if !found {
		problem(w, api.Errorf(api.CodeNotFound, "there is no code version %q", version))
	}
	return found
}

// uploadedCode tells how much is there, and refuses an archive that is too large.
func (f *fake) uploadedCode(w http.ResponseWriter, r *http.Request, _ *api.Service) {
	if n, err := strconv.ParseInt(r.URL.Query().Get("size"), 10, 64); err != nil || n > 1000 {
		problem(w, api.Errorf(api.CodeTooLarge, "the archive has more than 1000 bytes"))
		return
	}
	answer(w, http.StatusOK, api.CodeUpload{SHA256: r.PathValue("sha256"), Length: int64(len(f.part))})
}

func (f *fake) uploadCode(w http.ResponseWriter, r *http.Request, s *api.Service) {
	if f.mode["upload-breaks"] { // it breaks off in the middle, once
		f.mode["upload-breaks"] = false
		f.part = make([]byte, r.ContentLength/2)
		_, _ = io.ReadFull(r.Body, f.part)
		panic(http.ErrAbortHandler)
	}
	data, err := io.ReadAll(r.Body)
	if err != nil || int64(len(data)) != r.ContentLength || r.Header.Get("Content-Type") != "application/octet-stream" {
		f.mistake(r, "the body is not announced as what it is")
	}
	q := r.URL.Query()
	if q.Get("offset") != strconv.Itoa(len(f.part)) {
		f.mistake(r, "the upload does not go on where it has ended")
	}
	data, f.part = append(f.part, data...), nil
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != q.Get("sha256") {
		f.mistake(r, "what comes is not what was announced")
	}
	if string(data) == "junk\n" {
		problem(w, api.InField("body", "%q is no archive that is known here", q.Get("filename")))
		return
	}
	f.archive = data
	v := api.CodeVersion{
		ID: "code-abc234", Description: q.Get("description"), Filename: q.Get("filename"), Format: "tar.gz", Size: int64(len(data)), Created: begun,
	}
	f.codes = append(f.codes, v)
	if enable, _ := strconv.ParseBool(q.Get("enable")); enable {
		op := f.operation(api.OpServiceCode, 1, s.ID)
		f.ops = append(f.ops, op)
		v.Operation = op.ID
		f.enable(w, v.ID)
	}
	answer(w, http.StatusCreated, v)
}

func (f *fake) downloadCode(w http.ResponseWriter, r *http.Request, _ *api.Service) {
	switch {
	case r.PathValue("version") == api.CodeDefault:
		problem(w, api.Errorf(api.CodeConflict, "%s comes with the machines: there is no archive to download", api.CodeDefault))
	case f.mode["cut"]:
		_, _ = w.Write(f.archive[:1])
	default:
		_, _ = w.Write(f.archive)
	}
}
