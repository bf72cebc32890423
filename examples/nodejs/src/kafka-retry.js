// Consumes a topic and its retry topics. What fails goes to the topic of the next retry, whose consumer waits until the
// record is old enough; after the last retry it goes to the topic for dead letters.
//
// Each topic has a consumer and a group of its own, so that waiting holds up nobody else. Within a retry topic everybody
// waits equally long: what is fetched later is due later.
import { setTimeout as sleep } from 'node:timers/promises'
import { readContract } from './contract.js'
import { consumer, producer } from './kafka.js'
import { fail, log, onStop } from './log.js'
import { work } from './orders.js'

const contract = readContract('order-events-contract')
const { retry, deadLetter } = contract
const sender = producer(contract)
await sender.connect()
const consumers = await Promise.all([
  start(contract.topic, contract.consumer.group, 0),
  ...[...new Set(retry.topics)].map((topic) => start(topic, `${contract.consumer.group}.${topic}`, retry.delaysMs[retry.topics.indexOf(topic)])),
])
log('ready', { topic: contract.topic, retryTopics: retry.topics, delaysMs: retry.delaysMs })
onStop(async () => {
  await Promise.all(consumers.map((client) => client.disconnect()))
  await sender.disconnect()
})

async function start(topic, groupId, delay) {
  const client = consumer(contract, groupId)
  const joined = new Promise((resolve) => client.on(client.events.GROUP_JOIN, resolve))
  client.on(client.events.CRASH, ({ payload }) => payload.restart || fail(topic, payload.error))
  await client.connect()
  await client.subscribe({ topics: [topic], fromBeginning: true })
  await client.run({
    eachBatchAutoResolve: false,
    autoCommitThreshold: 1,
    partitionsConsumedConcurrently: contract.partitions,
    async eachBatch({ batch, heartbeat, isRunning, isStale, resolveOffset, commitOffsetsIfNecessary }) {
      for (const record of batch.messages) {
        const due = Number(record.timestamp) + delay
        while (Date.now() < due && isRunning()) {
          await sleep(Math.min(due - Date.now(), 500))
          await heartbeat() // throws if the group rebalances: the record comes again, to whoever has the partition then
        }
        if (!isRunning() || isStale()) return // what is not committed comes again
        await handle(topic, record)
        resolveOffset(record.offset)
        await commitOffsetsIfNecessary() // after the copy is safe: a crash in between doubles it, and never loses it
      }
    },
  })
  await joined
  return client
}

async function handle(topic, { key, value, headers }) {
  if (headers.event?.toString() !== 'order.placed') return // not for this service
  const order = JSON.parse(value)
  const attempt = Number(headers['attempts-failed'] ?? 0) + 1
  const seen = { topic, id: order.id, attempt, received: Date.now() }
  try {
    work(order, attempt)
    log('handled', seen)
  } catch (error) {
    const target = attempt < retry.attempts ? retry.topics[attempt - 1] : deadLetter.topic
    await sender.send({
      topic: target,
      acks: -1,
      messages: [{ key, value, headers: { ...headers, 'attempts-failed': String(attempt), 'last-error': error.message } }],
    })
    log(target === deadLetter.topic ? 'dead' : 'published', { ...seen, to: target, error: error.message })
  }
}
