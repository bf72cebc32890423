// A worker under the strategy Tiers: it accepts or rejects, and the broker does the rest.
import { log } from './log.js'
import { work } from './orders.js'
import { startWorker } from './worker.js'

await startWorker('order-invoice-contract', async (channel, contract, message) => {
  const order = JSON.parse(message.content)
  const attempt = attemptOf(contract, message)
  const seen = { queue: contract.queue, id: order.id, attempt, received: Date.now(), key: originalKey(contract, message) }
  try {
    work(order, attempt)
  } catch (error) {
    log('rejected', { ...seen, error: error.message })
    channel.reject(message, false)
    return
  }
  log('handled', seen)
  channel.ack(message)
})

// attemptOf reads the number of this delivery, from 1: the broker counts in the routing key.
function attemptOf(contract, message) {
  const prefix = `warrener.${contract.queue}.attempt.`
  const key = message.fields.routingKey
  return key.startsWith(prefix) ? Number(key.slice(prefix.length)) : 1
}

// originalKey is what the message was published with: of a retry it stands in the death that the rejection was.
function originalKey(contract, message) {
  const rejection = message.properties.headers['x-death']?.find((death) => death.queue === contract.queue && death.reason === 'rejected')
  return rejection ? rejection['routing-keys'][0] : message.fields.routingKey
}
