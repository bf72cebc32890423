// What rounding to milliseconds may take from a delay, here and in the broker.
const tolerance = 2

// checkTimeline: as many attempts as wanted, and none before its time. How late they are is for people to read.
export function checkTimeline(tale, id, lines, wanted, delaysMs) {
  const attempts = lines.map((line) => line.attempt)
  const waits = lines.slice(1).map((line, i) => line.received - lines[i].received)
  const counted = attempts.join() === Array.from({ length: wanted }, (_, i) => i + 1).join()
  const early = waits.some((wait, i) => wait < delaysMs[i] - tolerance)
  const late = waits.map((wait, i) => `${wait} ms (${delaysMs[i]})`)
  tale.check(counted && !early, `${id}: attempts ${attempts.join(' ')}${late.length ? `, after ${late.join(', ')}` : ''}`)
}
