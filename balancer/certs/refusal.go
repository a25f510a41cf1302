package certs

import "fmt"

// Refusal is a file that has changed and is not taken: what it held before stays in force.
type Refusal struct {
	File string // as it is in the configuration, so that it can be a label of metrics; of a directory, that
	Why  string
}

// Refusals are those of the Sets, once for each file. Of a directory one stands for all, as far as somebody has asked for them. A
// directory is looked at once: very many Sets may share it.
func Refusals(sets []*Set) (all []Refusal) {
	seen, looked := map[string]bool{}, map[string]bool{}
	tell := func(file, why string) {
		if !seen[file] {
			seen[file] = true
			all = append(all, Refusal{file, why})
		}
	}
	for _, s := range sets {
		for _, p := range s.pairs {
			if wrong := p.wrong.Load(); wrong != nil {
				for _, e := range *wrong {
					tell(e.File, e.Why)
				}
			}
		}
		for _, d := range s.dirs {
			if looked[d.path] {
				continue
			}
			looked[d.path] = true
			if h := d.held(); h.RefusedAll > 0 {
				tell(d.path, ofDirectory(&h))
			}
		}
		if s.ca != nil {
			if e := s.ca.wrong.Load(); e != nil {
				tell(e.File, e.Why)
			}
		}
	}
	return all
}

// ofDirectory tells of the files of a directory that are not taken.
func ofDirectory(h *Held) string {
	first := h.Refused[0]
	what := first.File + " " + first.Why
	if first.File == h.File {
		what = first.Why
	}
	if h.RefusedAll == 1 {
		return what
	}
	return fmt.Sprintf("%s, and %d more", what, h.RefusedAll-1)
}
