package control

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/seed-23b4a313/switchyard/balancer/sys"
)

// maxFile is more than the largest file that configs reads, which then says so.
const maxFile = 64<<20 + 1

// file is the content of the file at one moment.
type file struct {
	name   string // for messages
	dir    string // what relative paths in it are relative to
	data   []byte
	digest string // SHA-256 of data in hexadecimal
}

func newFile(name, dir string, data []byte) *file {
	sum := sha256.Sum256(data)
	return &file{name: name, dir: dir, data: data, digest: hex.EncodeToString(sum[:])}
}

// digestOf is the digest of f; "" if f is nil, for a file that could not be read.
func digestOf(f *file) string {
	if f == nil {
		return ""
	}
	return f.digest
}

// errUnsettled says that a file was written to while it was read.
var errUnsettled = errors.New("the file is being written")

// passes reports whether the error of a load says nothing of the file, and is gone by itself: it is being written, or it, or a file
// that it names, could not be read for want of descriptors or memory, or since nobody answers where it lies. Nobody tells of the
// end of that, so it has to be looked at again.
func passes(err error) bool {
	_, unanswered := errors.AsType[*UnansweredError](err)
	return unanswered || errors.Is(err, errUnsettled) || sys.Exhausted(err)
}

// readFile reads the file at path, as it is between two writes to it: a file that changes while it is read is read
// again, and is errUnsettled if that goes on.
func readFile(path, dir string) (*file, error) {
	const attempts = 5
	for range attempts {
		data, err := readOnce(path)
		if err == nil {
			return newFile(path, dir, data), nil
		}
		if !errors.Is(err, errUnsettled) {
			return nil, err
		}
	}
	return nil, &fs.PathError{Op: "read", Path: path, Err: errUnsettled}
}

// readOnce reads a regular file. A pipe or a device would be empty the next time, or never end.
func readOnce(path string) ([]byte, error) {
	before, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !before.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "read", Path: path, Err: errors.New("not a regular file")}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data := bytes.NewBuffer(make([]byte, 0, min(before.Size(), maxFile)+bytes.MinRead))
	if _, err := data.ReadFrom(io.LimitReader(f, maxFile)); err != nil {
		return nil, err
	}
	after, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && stampOf(after) != stampOf(before) {
		return nil, errUnsettled
	}
	return data.Bytes(), err
}

// source is a file as a revision keeps it. It is never changed.
type source struct {
	name, dir, digest string
	size              int
	packed            []byte // gzip
}

// pack compresses f: ten revisions of 100 000 routes are a few megabytes then.
func (f *file) pack() *source {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if err == nil {
		_, err = w.Write(f.data)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic(fmt.Sprintf("control: gzip into memory: %v", err)) // it has nothing to fail with
	}
	return &source{name: f.name, dir: f.dir, digest: f.digest, size: len(f.data), packed: bytes.Clone(b.Bytes())}
}

// unpack is the file again.
func (s *source) unpack() *file {
	r, err := gzip.NewReader(bytes.NewReader(s.packed))
	var data []byte
	if err == nil {
		data, err = io.ReadAll(r)
	}
	if err != nil {
		panic(fmt.Sprintf("control: gzip from memory: %v", err)) // it is what pack wrote
	}
	return &file{name: s.name, dir: s.dir, data: data, digest: s.digest}
}
