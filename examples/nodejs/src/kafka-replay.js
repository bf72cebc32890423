// Reads the topic again: a report that is computed anew, a table that is rebuilt.
//
//   node src/kafka-replay.js                       from where this group stopped
//   node src/kafka-replay.js --from-beginning      everything that the topic still has
//   node src/kafka-replay.js --since 2h            what was written since (s, m, h, d, or a time such as 2026-01-31T12:00:00Z)
//   ... --follow          goes on reading; without, it ends when it has read what was there when it started
//   ... --dead-letters    the topic for dead letters instead
//   ... --group NAME      a group of its own; default: the recommended group with .replay
//
// It is a static member: as a pod of a StatefulSet it comes back under its name, and keeps its partitions without a
// rebalance, if it is back within the session timeout.
import { parseArgs } from 'node:util'
import { Consumer } from '@platformatic/kafka'
import { groupInstanceId, readContract } from './contract.js'
import { fail, log, onStop } from './log.js'
import { replayOptions } from './kafka.js'

const earliest = -2n
const latest = -1n

const { values: flags } = parseArgs({
  options: {
    'from-beginning': { type: 'boolean' },
    since: { type: 'string' },
    follow: { type: 'boolean' },
    'dead-letters': { type: 'boolean' },
    group: { type: 'string' },
  },
})
const contract = readContract('order-events-contract')
const topic = flags['dead-letters'] ? contract.deadLetter.topic : contract.topic
const groupId = flags.group ?? `${contract.consumer.group}.replay`
const member = groupInstanceId(contract, groupId)

const consumer = new Consumer({
  ...replayOptions(contract),
  groupId,
  groupInstanceId: member,
  sessionTimeout: 30_000, // how long a member may be away
  heartbeatInterval: 1_000,
  maxWaitTime: 500,
})
consumer.on('error', (error) => fail('consumer', error))
consumer.on('consumer:group:rebalance', () => log('rebalance', { member }))
consumer.on('consumer:group:join', ({ generationId, assignments }) =>
  log('joined', { member, topic, generation: generationId, partitions: assignments.flatMap((one) => one.partitions).sort() }))

const end = await offsets(latest)
const start = flags['from-beginning'] ? await offsets(earliest) : flags.since ? await offsets(timeOf(flags.since)) : undefined
const stream = await consumer.consume({
  topics: [topic],
  autocommit: false,
  ...(start
    ? { mode: 'manual', offsets: start.map((offset, partition) => ({ topic, partition, offset: offset < 0n ? end[partition] : offset })) }
    : { mode: 'committed', fallbackMode: 'earliest' }),
})

// A static member does not say goodbye: consumer.close() would leave the group, and give its partitions away. What was
// read is committed, so ending is all there is to do.
let inHand = Promise.resolve()
onStop(() => inHand)
const ended = flags.follow || setInterval(() => {
  if (!caughtUp()) return
  clearInterval(ended)
  inHand.then(() => process.exit(0))
}, 100)

for await (const record of stream) {
  inHand = replay(record)
  await inHand.catch((error) => fail('replay', error))
}

async function replay({ key, value, headers, partition, offset, timestamp, commit }) {
  log('replayed', { member, topic, partition, offset: Number(offset), written: new Date(Number(timestamp)).toISOString(), key: key?.toString(), value: value?.toString() })
  await commit()
}

// caughtUp: this member has read what its partitions held at the start.
function caughtUp() {
  const partitions = consumer.assignments?.flatMap((one) => one.partitions)
  return partitions && stream.readableLength === 0 && partitions.every((n) => stream.offsetsToFetch.get(`${topic}:${n}`) >= end[n])
}

async function offsets(timestamp) {
  return (await consumer.listOffsets({ topics: [topic], timestamp })).get(topic)
}

function timeOf(text) {
  const [, count, unit] = /^(\d+)([smhd])$/.exec(text) ?? []
  const time = unit ? Date.now() - count * { s: 1e3, m: 60e3, h: 3600e3, d: 86400e3 }[unit] : Date.parse(text)
  if (Number.isNaN(time)) fail('--since', new Error(`"${text}" is no span such as 2h and no time such as 2026-01-31T12:00:00Z`))
  return BigInt(time)
}
