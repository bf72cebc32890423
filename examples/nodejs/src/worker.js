// What both workers are: connect, assert, consume, and end in good order. How they have a message tried again differs.
import { readContract } from './contract.js'
import { log, onStop } from './log.js'
import { connect, consume } from './rabbitmq.js'
import { assert, declarations } from './topology.js'

export async function startWorker(configMap, handle) {
  const contract = readContract(configMap)
  let stopConsuming
  const connection = await connect(contract, async (channel) => {
    await assert(channel, declarations(contract))
    stopConsuming = await consume(channel, contract.queue, contract.consumer?.prefetch ?? 10, (message) => handle(channel, contract, message))
    log('ready', { queue: contract.queue, strategy: contract.retry.strategy, delaysMs: contract.retry.delaysMs })
  })
  onStop(async () => {
    await stopConsuming()
    await connection.close()
  })
}
