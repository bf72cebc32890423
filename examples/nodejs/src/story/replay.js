import { readContract } from '../contract.js'
import { Process } from './process.js'

const joined = (lines) => lines.filter((line) => line.event === 'joined')
const place = (line) => `partitions ${line.partitions.join(', ')} in generation ${line.generation}`

// Reading again, by two static members; one of them is killed, and comes back.
export async function replay(tale, run) {
  const { topic, partitions } = readContract('order-events-contract')
  const group = `${run}-replay`
  const start = (pod, ...args) =>
    new Process('kafka-replay', { args: ['--group', group, ...args], env: { POD_NAME: pod }, onLine: tale.teller(pod) })
  const keysOf = (...members) => members.flatMap((one) => one.lines).filter((line) => line.event === 'replayed' && line.key?.startsWith(run)).map((line) => line.key)
  const all = [1, 2, 3].map((n) => `${run}-${n}`).join()

  tale.chapter(`Kafka: ${topic} is read again, by static members of one group`)
  const alone = start('order-replay-0', '--from-beginning')
  tale.check((await alone.finish()) === 0 && keysOf(alone).sort().join() === all, 'from the beginning: every order was read')
  const again = start('order-replay-0')
  await again.finish()
  tale.check(keysOf(again).length === 0, 'from where it stopped: nothing is left to read')
  const since = start('order-replay-0', '--since', '1h')
  await since.finish()
  tale.check(keysOf(since).sort().join() === all, 'since an hour ago: every order was read once more')

  const stays = start('order-replay-0', '--follow')
  await stays.until('it joins', (lines) => joined(lines).length > 0)
  const dies = start('order-replay-1', '--follow')
  await dies.until('it joins', (lines) => joined(lines).length > 0)
  await stays.until('it shares', (lines) => joined(lines).at(-1).partitions.length < partitions)
  const [before] = joined(dies.lines)
  const calm = stays.lines.length
  await dies.stop('SIGKILL')
  const back = start('order-replay-1', '--follow')
  await back.until('it joins', (lines) => joined(lines).length > 0)
  tale.check(place(joined(back.lines)[0]) === place(before), `killed and started again, order-replay-1 has ${place(before)}, as before`)
  tale.check(stays.lines.slice(calm).every((line) => line.event === 'replayed'), 'order-replay-0 was not disturbed: no rebalance')
  tale.check((await stays.stop()) === 0 && (await back.stop()) === 0, 'asked to end, both ended in good order')
}
