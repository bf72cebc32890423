// Reads the dead letters of both queues. A real one would tell somebody, or put them into a table.
import { readContract } from './contract.js'
import { log, onStop } from './log.js'
import { connect, consume } from './rabbitmq.js'
import { assert, declarations } from './topology.js'

const contracts = ['order-invoice-contract', 'order-refund-contract'].map(readContract)
let stops
const connection = await connect(contracts[0], async (channel) => {
  stops = []
  for (const contract of contracts) {
    await assert(channel, declarations(contract))
    stops.push(await consume(channel, contract.deadLetter.queue, 10, async (message) => {
      log('dead', { queue: contract.deadLetter.queue, id: JSON.parse(message.content).id, why: whyOf(contract, message.properties.headers) })
      channel.ack(message)
    }))
  }
  log('ready', { queues: contracts.map((contract) => contract.deadLetter.queue) })
})
onStop(async () => {
  await Promise.all(stops.map((stop) => stop()))
  await connection.close()
})

// whyOf: under Tiers the broker says it, under Published the worker does.
function whyOf(contract, headers) {
  if (headers['last-error']) return `${headers['last-error']}; ${headers['attempts-failed']} attempts`
  const death = headers['x-death'].find((one) => one.queue === contract.queue)
  return `${death.reason}; ${death.count} attempts`
}
