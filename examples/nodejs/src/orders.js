// The business. An order says how many attempts fail, in the place of a payment provider that is sometimes away.

export function work(order, attempt) {
  if (attempt <= order.failures) throw new Error(`the payment provider does not answer (attempt ${attempt})`)
}

export const always = 99

// testOrders of one run; the run's name makes their ids unique.
export function testOrders(run) {
  return [
    { id: `${run}-1`, failures: 0 },
    { id: `${run}-2`, failures: 2 },
    { id: `${run}-3`, failures: always },
  ]
}
