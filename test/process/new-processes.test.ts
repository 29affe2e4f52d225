import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { expect } from 'chai'
import { countStarts, startedAfter } from '../../src/process/new-processes.js'

describe('what can have started after a process', () => {
  async function startSleeper(): Promise<{ readonly pid: number; end(): Promise<void> }> {
    const child = spawn('sleep', ['60'], { stdio: 'ignore' })
    await once(child, 'spawn')
    return {
      pid: child.pid ?? 0,
      async end() {
        child.kill('SIGKILL')
        await once(child, 'exit')
      },
    }
  }

  it('is a later process, and not one half a circle of ids away', async () => {
    const before = await countStarts()
    const first = await startSleeper()
    const second = await startSleeper()

    const canBe = await startedAfter(first.pid, before)

    expect(canBe(second.pid)).to.equal(true)
    expect(canBe(first.pid)).to.equal(true)
    const size = Number(await readFile('/proc/sys/kernel/pid_max', 'latin1'))
    expect(canBe((first.pid + size / 2) % size)).to.equal(false)
    await Promise.all([first.end(), second.end()])
  })

  it('is a process that starts while we look', async () => {
    const before = await countStarts()
    const first = await startSleeper()
    const canBe = await startedAfter(first.pid, before)

    const second = await startSleeper()

    expect(canBe(second.pid)).to.equal(true)
    await Promise.all([first.end(), second.end()])
  })

  it('is everyone when the ids may have gone round since, or nothing is known', async () => {
    const now = (await countStarts()) ?? 0
    const first = await startSleeper()

    for (const before of [undefined, now - 10_000_000, now + 10_000_000]) {
      const canBe = await startedAfter(first.pid, before)

      expect(canBe(1)).to.equal(true)
    }
    await first.end()
  })
})
