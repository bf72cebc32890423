import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const patience = 60_000 // a machine may be busy

// Process is a service that runs, and the lines that it has logged.
export class Process {
  static #running = new Set()

  // However the story ends, no service stays behind.
  static {
    process.on('exit', () => {
      for (const one of Process.#running) one.child.kill('SIGKILL')
    })
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, () => process.exit(1))
  }

  // start runs a program of src/ and shows each of its lines to onLine.
  constructor(program, { args = [], env = {}, onLine = () => {} } = {}) {
    this.program = program
    this.lines = []
    this.stderr = ''
    const file = fileURLToPath(new URL(`../${program}.js`, import.meta.url))
    this.child = spawn(process.execPath, [file, ...args], { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
    this.child.stderr.on('data', (text) => (this.stderr += text))
    this.waiting = new Set()
    createInterface({ input: this.child.stdout }).on('line', (text) => {
      const line = JSON.parse(text)
      this.lines.push(line)
      onLine(line)
      for (const look of this.waiting) look()
    })
    Process.#running.add(this)
    this.ended = once(this.child, 'close').then(([code, signal]) => {
      Process.#running.delete(this)
      this.code = code ?? signal
      for (const look of this.waiting) look()
      return this.code
    })
  }

  // until resolves when the lines show what is awaited; it rejects if the process ends without it.
  until(what, holds) {
    return new Promise((resolve, reject) => {
      const done = (settle, value) => {
        clearTimeout(timer)
        this.waiting.delete(look)
        settle(value)
      }
      const last = () => `; it said: ${this.stderr.slice(-800)} ${this.lines.slice(-3).map((line) => JSON.stringify(line)).join(' ')}`
      const look = () => {
        if (holds(this.lines)) done(resolve)
        else if (this.code !== undefined) done(reject, new Error(`${this.program} ended (${this.code}) before ${what}${last()}`))
      }
      const timer = setTimeout(() => done(reject, new Error(`${this.program}: not within ${patience / 1000} s: ${what}${last()}`)), patience)
      this.waiting.add(look)
      look()
    })
  }

  // stop asks the process to end, and resolves to its exit code.
  stop(signal = 'SIGTERM') {
    this.child.kill(signal)
    return this.ended
  }

  // finish resolves to the exit code of a process that ends by itself.
  async finish() {
    await this.until('its end', () => this.code !== undefined)
    return this.code
  }

  static async killAll() {
    await Promise.all([...Process.#running].map((one) => one.stop('SIGKILL')))
  }
}
