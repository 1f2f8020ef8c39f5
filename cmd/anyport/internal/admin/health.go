package admin

// Health is the answer of /livez and /readyz. The status of HTTP says the same: 200, or 503 if a
// condition has failed.
type Health struct {
	OK         bool        `json:"ok"`
	Conditions []Condition `json:"conditions"`
}

// Condition is one thing that has to hold.
type Condition struct {
	Name   string `json:"name"`
	Failed string `json:"failed,omitempty"` // why it does not hold; "": it does
}

// NewHealth is good if all conditions hold.
func NewHealth(conditions ...Condition) Health {
	h := Health{OK: true, Conditions: append([]Condition{}, conditions...)} // [] in JSON, never null
	for _, c := range conditions {
		h.OK = h.OK && c.Failed == ""
	}
	return h
}
