// Package trend derives figures from counters, by a look at them each second or so: the fastest second of
// a counter (Rate), the average of the newest values (Mean), and how long a state lasts that comes and
// goes (Stopwatch). So what the figures cost does not depend on how much traffic there is.
package trend
