package fleet

import "bytes"

// A bundle is a file and a table in one text, for what remembers which config has lasted. TOML allows no NUL.
const bundleMark = "\x00"

// Bundle joins the text of a host's file with that of its table; nil: it has none.
func Bundle(file, table []byte) []byte {
	if table == nil {
		return file
	}
	return bytes.Join([][]byte{file, table}, []byte(bundleMark))
}

// Unbundle returns the two texts; table is nil if there is none.
func Unbundle(bundle []byte) (file, table []byte) {
	file, table, found := bytes.Cut(bundle, []byte(bundleMark))
	if !found {
		return bundle, nil
	}
	return file, table
}
