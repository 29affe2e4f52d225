import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { createLogWriter } from '../../../src/workers/workspaces/log-writer.js'
import { until } from '../../helpers/until.js'

type Write = { readonly lines: readonly string[]; readonly at: number; readonly bytes: number }

function aWriter(fail: () => boolean = () => false) {
  const writes: Write[] = []
  const append = async (lines: readonly string[]) => {
    if (fail()) throw new Error('Redis is unreachable')
    writes.push({ lines, at: performance.now(), bytes: Buffer.byteLength(`${lines.join('\n')}\n`) })
  }
  return { writes, writer: createLogWriter(append, { whole: 'the log of host-a' }) }
}

describe('what is written to a log that every machine can follow', function () {
  this.timeout(20_000)

  it('goes out together when it comes together', async () => {
    const { writes, writer } = aWriter()
    writer.write('started')
    writer.write('half way')
    await writer.close('done')

    expect(writes.map(({ lines }) => lines)).to.deep.equal([['started', 'half way', 'done']])
  })

  it('is there while the work goes on', async () => {
    const { writes, writer } = aWriter()
    writer.write('started')

    await until('it is written', () => writes.length === 1)
    await writer.close('done')

    expect(writes.map(({ lines }) => lines)).to.deep.equal([['started'], ['done']])
  })

  it('is given to a caller that writes it by other means', async () => {
    const { writes, writer } = aWriter()
    writer.write('started')

    expect(writer.take('done')).to.deep.equal(['started', 'done'])
    await writer.close()

    expect(writes).to.deep.equal([])
  })

  it('is no more than two writes and 32 KiB in any second, first and newest lines, and how many are missing', async () => {
    const { writes, writer } = aWriter()
    const endAt = performance.now() + 3000
    let written = 0
    while (performance.now() < endAt) {
      for (let index = 0; index < 100; index += 1) writer.write(`line ${written++} ${'x'.repeat(80)}`)
      await sleep(5)
    }
    await writer.close('the end')

    for (const { at } of writes) {
      const within = writes.filter((write) => write.at >= at && write.at < at + 990)
      expect(within.length).to.be.at.most(2)
      expect(within.reduce((sum, { bytes }) => sum + bytes, 0)).to.be.at.most(32 * 1024)
    }
    const lines = writes.flatMap((write) => write.lines)
    const missing = lines.flatMap(
      (line) => /loopfleet: (\d+) lines were left out here; the log of host-a/.exec(line)?.[1] ?? [],
    )
    const markers = missing.length
    expect(lines.length - markers + missing.reduce((sum, count) => sum + Number(count), 0)).to.equal(written + 1)
    expect(lines[0]).to.match(/^line 0 /)
    expect(lines.at(-1)).to.equal('the end')
    expect(writes.length).to.be.within(5, 9)
  })

  it('names lines that could not be written while Redis was unreachable', async () => {
    let isAway = true
    const { writes, writer } = aWriter(() => isAway)
    writer.write('one', 'two')
    await sleep(200)
    isAway = false
    await writer.close('three')

    expect(writes.at(-1)?.lines).to.deep.equal([
      '[loopfleet: 2 lines were left out here; the log of host-a has them]',
      'three',
    ])
  })

  it('cuts a line that is longer than a write', async () => {
    const { writes, writer } = aWriter()
    writer.write('ä'.repeat(10_000))
    await writer.close()

    expect(writes[0]?.lines[0]).to.match(/^ä+ …$/)
    expect(writes[0]?.bytes).to.be.below(4096)
  })

  it('does not hold up its caller when Redis does not answer', async () => {
    const writer = createLogWriter(() => new Promise(() => undefined), { whole: 'the log' })
    writer.write('one')
    writer.flush()
    const startedAt = performance.now()
    await writer.close('two')

    expect(performance.now() - startedAt).to.be.below(5000)
  })
})
