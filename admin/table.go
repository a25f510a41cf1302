package admin

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// table is everything that one socket serves: a path that is not in it is answered 404, and a method that its path
// does not have 405 with those that it has. Unlike http.ServeMux it cleans no path and redirects nowhere.
type table []endpoint

// endpoint is one path and its methods.
type endpoint struct {
	path    string // a segment in braces takes one segment of any content, such as /v1/routes/{name}
	methods map[string]http.Handler
}

// readOnly is an endpoint that is only read.
func readOnly(path string, h http.HandlerFunc) endpoint {
	return endpoint{path: path, methods: map[string]http.Handler{http.MethodGet: h}}
}

func (t table) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	head := w.Header()
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("Cache-Control", "no-store")
	e := t.find(r)
	if e == nil {
		t.refuse(w, r.Method)
		return
	}
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet // net/http leaves the body out
	}
	h, ok := e.methods[method]
	if !ok {
		notAllowed(w, e.allowed())
		return
	}
	h.ServeHTTP(w, r)
}

// find returns the endpoint of r, whose path values it sets, or nil.
func (t table) find(r *http.Request) *endpoint {
	segments := strings.Split(r.URL.EscapedPath(), "/")
	for i := range t {
		if values, ok := matchPath(t[i].path, segments); ok {
			for name, v := range values {
				r.SetPathValue(name, v)
			}
			return &t[i]
		}
	}
	return nil
}

// matchPath compares pattern with the segments of a path, and returns what stands where pattern has braces. Nothing is
// unescaped before the path was taken apart, so that a slash in a name stays part of the name.
func matchPath(pattern string, segments []string) (values map[string]string, ok bool) {
	want := strings.Split(pattern, "/")
	if len(want) != len(segments) {
		return nil, false
	}
	for i, seg := range segments {
		got, err := url.PathUnescape(seg)
		name, isValue := strings.CutPrefix(want[i], "{")
		switch {
		case err != nil, isValue && got == "", !isValue && got != want[i]:
			return nil, false
		case isValue:
			if values == nil {
				values = make(map[string]string)
			}
			values[strings.TrimSuffix(name, "}")] = got
		}
	}
	return values, true
}

// refuse answers for a path that is not there: 404, but for methods that nothing here has.
func (t table) refuse(w http.ResponseWriter, method string) {
	var all []string
	for i := range t {
		all = append(all, t[i].allowed()...)
	}
	slices.Sort(all)
	all = slices.Compact(all)
	if !slices.Contains(all, method) {
		notAllowed(w, all)
		return
	}
	serveError(w, http.StatusNotFound, "no such path")
}

// allowed are the methods of e, for the header Allow.
func (e *endpoint) allowed() []string {
	all := sortedKeys(e.methods)
	if slices.Contains(all, http.MethodGet) {
		all = append(all, http.MethodHead)
	}
	slices.Sort(all)
	return all
}

func notAllowed(w http.ResponseWriter, allowed []string) {
	methods := strings.Join(allowed, ", ")
	w.Header().Set("Allow", methods)
	text := "only " + methods + " is allowed"
	if len(allowed) > 1 {
		text = "only " + methods + " are allowed"
	}
	serveError(w, http.StatusMethodNotAllowed, text)
}
