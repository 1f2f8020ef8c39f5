package config

import "strings"

// closest is the word of known that was meant by word, as far as one can guess: a
// few letters differ, or one of the two is cut short. It is "" where none is near.
func closest(word string, known []string) string {
	word = strings.ToLower(word)
	best, least := "", 1+max(2, len(word)/3)
	for _, candidate := range known {
		d := distance(word, candidate)
		if len(word) > 2 && (strings.HasPrefix(candidate, word) || strings.HasPrefix(word, candidate)) {
			d = min(d, 2)
		}
		if d < least && len(candidate) > 2 {
			best, least = candidate, d
		}
	}
	return best
}

// distance is Levenshtein's: the insertions, deletions and replacements between a and b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
