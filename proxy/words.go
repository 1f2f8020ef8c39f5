package proxy

type stringer interface{ String() string }

func texts[T stringer](values []T) []string {
	list := []string{}
	for _, v := range values {
		list = append(list, v.String())
	}
	return list
}

type word interface {
	comparable
	stringer
}

// byName turns the words of a count into the keys of a JSON object.
func byName[K, V word](counts map[K]map[V]uint64) map[string]map[string]uint64 {
	byWord := make(map[string]map[string]uint64, len(counts))
	for k, inner := range counts {
		byWord[k.String()] = named(inner)
	}
	return byWord
}

func named[K word](counts map[K]uint64) map[string]uint64 {
	byWord := make(map[string]uint64, len(counts))
	for k, n := range counts {
		byWord[k.String()] = n
	}
	return byWord
}
