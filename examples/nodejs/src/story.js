// Runs the services against the brokers, tells what happens, and ends with a verdict: 0 if everything went as it should.
//
//   CONTRACTS=<folder> node src/story.js [--json] [rabbitmq] [kafka] [replay]
//
// All three parts, unless some are named. --json: the lines of the services, and of the checks, as they are.
import { parseArgs } from 'node:util'
import { Process } from './story/process.js'
import { kafka } from './story/kafka.js'
import { rabbitmq } from './story/rabbitmq.js'
import { replay } from './story/replay.js'
import { Tale } from './story/tale.js'

const parts = { rabbitmq, kafka, replay } // replay reads what kafka wrote
const { values: flags, positionals } = parseArgs({ options: { json: { type: 'boolean', default: false } }, allowPositionals: true })
const tale = new Tale(flags.json)
const run = process.env.RUN ?? `run-${Date.now().toString(36)}`
try {
  for (const part of positionals.length ? positionals : Object.keys(parts)) await parts[part](tale, run)
} catch (error) {
  tale.check(false, error.message)
} finally {
  await Process.killAll()
}
process.exitCode = tale.verdict() ? 0 : 1
