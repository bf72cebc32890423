// What a client declares that declares what it uses: the same exchanges and queues, with the same arguments, as Warrener
// does. A client of Warrener needs none of it. It stands here for programs that do so anyway, as many do: what they assert
// must equal what is there, or RabbitMQ answers 406 and closes the channel.

// declarations lists what there is for a contract: {exchange, type, options} or {queue, options}, dead letters first.
export function declarations(contract) {
  const main = {
    queue: contract.queue,
    options: { durable: contract.queueDurable, autoDelete: contract.queueAutoDelete, arguments: contract.queueArguments },
  }
  return [...(contract.deadLetter?.queue ? [deadQueue(contract)] : []), ...around(contract), main]
}

function around(contract) {
  switch (contract.retry?.strategy) {
    case 'Tiers':
      return tiers(contract)
    case 'Published':
      return contract.retry.delayQueues === 'Managed' ? contract.retry.queues.map((_, i) => delayQueue(contract, i)) : []
    default:
      return contract.deadLetter?.exchange ? [exchange(contract.deadLetter.exchange, 'direct')] : []
  }
}

// The exchanges and queues of the strategy Tiers: see docs/retry.md.
function tiers(contract) {
  const { queue, retry } = contract
  return [
    exchange(`${queue}.giveup`, 'fanout'),
    exchange(`${queue}.redeliver`, 'fanout'),
    ...retry.queues.map((name, i) => ({
      queue: name,
      options: {
        messageTtl: retry.delaysMs[i],
        deadLetterExchange: `${queue}.redeliver`,
        deadLetterRoutingKey: `warrener.${queue}.attempt.${i + 2}`,
        arguments: { 'x-queue-type': contract.queueType, ...safe(contract) },
      },
    })),
    exchange(`${queue}.retry.first`, 'fanout', `${queue}.redeliver`),
    exchange(`${queue}.retry`, 'direct', `${queue}.retry.first`),
    exchange(`${queue}.failed`, 'headers', `${queue}.giveup`),
  ]
}

// delayQueue is where a message waits for its retry (0 is the first), under Published. A queue that clients declare
// themselves goes when nobody has used it for twice its delay; each declaration is a use.
export function delayQueue(contract, i) {
  const { queue, retry, queueType } = contract
  const delay = retry.delaysMs[i]
  return {
    queue: retry.queues[i],
    options: {
      messageTtl: delay,
      deadLetterExchange: '',
      deadLetterRoutingKey: queue,
      ...(retry.delayQueues === 'ClientDeclared' && { expires: 2 * delay }),
      arguments: { 'x-queue-type': queueType, ...safe(contract) },
    },
  }
}

function deadQueue(contract) {
  return { queue: contract.deadLetter.queue, options: { arguments: contract.deadLetter.queueArguments } }
}

// safe makes a quorum queue keep a message until the queue that it goes to has it.
function safe(contract) {
  return contract.queueType === 'quorum' ? { 'x-dead-letter-strategy': 'at-least-once', 'x-overflow': 'reject-publish' } : {}
}

// The exchanges that orders are published to: config/samples/orders.yaml, and so this service's own knowledge.
export const orderExchanges = [
  { exchange: 'orders.unrouted', type: 'fanout', options: { internal: true } },
  exchange('orders', 'topic', 'orders.unrouted'),
]

function exchange(name, type, alternateExchange) {
  return { exchange: name, type, options: { alternateExchange } }
}

// assert declares one after the other; who asserts what is there as it is changes nothing.
export async function assert(channel, list) {
  for (const { exchange, type, queue, options } of list) {
    if (exchange) await channel.assertExchange(exchange, type, options)
    else await channel.assertQueue(queue, options)
  }
}
