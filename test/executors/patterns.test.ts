import { expect } from 'chai'
import { silentLogger } from '../../src/base/logger/logger.js'
import type { OutputPattern, PatternMatch, PatternMiss } from '../../src/process/output/messages.js'
import { createOutputThread, type OutputThread } from '../../src/process/output/output-thread.js'
import { times } from '../helpers/thorough.js'

/** Needs 2^n steps for n letters without a colon behind them. */
const CARELESS: OutputPattern = { id: 'careless', source: '^(\\w+\\s?)*: (?<epoch>\\d+)' }
const COUNTS: OutputPattern = { id: 'counts', source: '^step (?<step>\\d+)$' }
const MINUTE = `Downloading weights ${'a'.repeat(44)}!\n`

describe('the thread that reads output', function () {
  this.timeout(30_000)
  let thread: OutputThread
  before(() => {
    thread = createOutputThread({ log: silentLogger() })
  })
  after(() => thread.close())

  type Seen = {
    readonly matches: PatternMatch[]
    readonly misses: PatternMiss[]
    readonly lines: string[]
    skipped: number
    lost: number
  }

  function open(patterns: readonly OutputPattern[]) {
    const seen: Seen = { matches: [], misses: [], lines: [], skipped: 0, lost: 0 }
    const reader = thread.open({
      patterns,
      onMatch: (match) => seen.matches.push(match),
      onMiss: (miss) => seen.misses.push(miss),
      onLines: ({ head, lost, tail }) => {
        seen.lines.push(...head, ...tail)
        seen.lost += lost
      },
      onSkipped: (lines) => {
        seen.skipped = lines
      },
    })
    return { reader, seen }
  }

  it('switches off a pattern that needs more than a second for a line, and only that one', async () => {
    const { reader, seen } = open([CARELESS, COUNTS])

    await reader.feed(Buffer.from(`epoch: 1\n${MINUTE}step 2\nepoch: 3\n`), 700)
    await reader.finish()

    expect(seen.misses).to.deep.equal([{ id: 'careless', line: MINUTE.trim(), isOff: true }])
    expect(seen.matches).to.deep.equal([
      { id: 'careless', groups: { epoch: '1' }, at: 1, readAtMs: 700 },
      { id: 'counts', groups: { step: '2' }, at: 3, readAtMs: 700 },
    ])
    expect(seen.lines).to.deep.equal(['epoch: 1', MINUTE.trim(), 'step 2', 'epoch: 3'])
  })

  it('keeps a pattern that gets through within a second when the line is repeated, and says that it is slow', async () => {
    const { reader, seen } = open([CARELESS])

    for (let letters = 20; seen.misses.length === 0; letters += 1) {
      await reader.feed(Buffer.from(`${'a'.repeat(letters)}!\n`))
    }
    await reader.feed(Buffer.from('epoch: 3\n'))
    await reader.finish()

    expect(seen.misses.map(({ isOff }) => isOff)).to.deep.equal([false])
    expect(seen.matches.at(-1)?.groups).to.deep.equal({ epoch: '3' })
  })

  it('finds every state of a coloured bar', async () => {
    const { reader, seen } = open([{ id: 'progress', source: '^\\s+(?<epoch>\\d+)/(?<epochs>\\d+)\\s' }])

    for (const epoch of [1, 2, 3, 4]) {
      await reader.feed(Buffer.from(`\r\u001b[K\u001b[34m\u001b[1m      ${epoch}/4      2.53G: 100%|####|\u001b[0m\n`))
    }
    await reader.finish()

    expect(seen.matches.map(({ groups }) => groups.epoch)).to.deep.equal(['1', '2', '3', '4'])
  })

  it('gives each line the time at which its beginning was read, also when it ends and is matched later', async () => {
    const { reader, seen } = open([COUNTS])

    await reader.feed(Buffer.from('step 1'), 1000)
    await reader.feed(Buffer.from('\rstep 2\nstep 3\n'), 2000)
    await reader.feed(Buffer.from('step 4'), 3000)
    await reader.finish()

    expect(seen.matches.map(({ groups, readAtMs }) => [groups.step, readAtMs])).to.deep.equal([
      ['1', 1000],
      ['3', 2000], // 2 was read together with it
      ['4', 3000],
    ])
  })

  it('matches every line, in their order', async () => {
    const { reader, seen } = open([COUNTS, { id: 'ends', source: '0$' }])
    const lines = Array.from({ length: 30_000 }, (_, index) => `step ${index}\n`).join('')

    for (let at = 0; at < lines.length; at += 65_536) await reader.feed(Buffer.from(lines.slice(at, at + 65_536)), at)
    await reader.finish()

    const ends = seen.matches.filter(({ id }) => id === 'ends')
    expect(ends.map(({ at }) => at)).to.deep.equal(Array.from({ length: 3000 }, (_, index) => 10 * index + 1))
    expect(seen.matches.at(-1)).to.deep.equal({
      id: 'counts',
      groups: { step: '29999' },
      at: 30_000,
      readAtMs: 4 * 65_536,
    })
    expect(reader.count).to.equal(30_000)
  })

  it('reads for other programs while one pattern is slow', async () => {
    const slow = open([CARELESS])
    const quick = open([COUNTS])

    const slowEnd = slow.reader.feed(Buffer.from(MINUTE))
    const first = await Promise.race([
      Promise.resolve(quick.reader.feed(Buffer.from('step 1\n'))).then(() => 'quick'),
      Promise.resolve(slowEnd).then(() => 'slow'),
    ])
    await slowEnd

    expect(['quick', 'slow']).to.include(first)
    expect(quick.seen.matches).to.have.lengthOf(1)
    await slow.reader.finish()
    await quick.reader.finish()
  })

  it('gives up lines that wait when their program has ended and three seconds are over', async () => {
    const { reader, seen } = open([{ id: 'slow', source: '^(a|aa)+$' }])
    let letters = 25
    for (let ms = 0; ms < 20; letters += 1) {
      const startedAt = performance.now()
      await reader.feed(Buffer.from(`${'a'.repeat(letters)}!\n`))
      ms = performance.now() - startedAt
    }

    const startedAt = performance.now()
    reader.hurry()
    await reader.feed(Buffer.from(`${'a'.repeat(letters)}!\n`.repeat(1500)))
    await reader.finish()

    expect(performance.now() - startedAt).to.be.below(8000)
    expect(seen.skipped).to.be.above(0)
    expect(seen.lines.length + seen.lost).to.be.above(1500)
  })

  it('grows its process by less than 50 MB, thread included, under a flood', async () => {
    const own = createOutputThread({ log: silentLogger() })
    const before = process.memoryUsage().rss
    let highest = before
    const reader = own.open({ patterns: [COUNTS, CARELESS], onMatch: () => undefined, onMiss: () => undefined })
    const chunk = Buffer.from(`${'epoch 12 of 100, loss 0.123'.repeat(3)}\n`.repeat(800).slice(0, 65_536))

    for (let index = 0; index < times(250, 1000); index += 1) {
      await reader.feed(chunk)
      highest = Math.max(highest, process.memoryUsage().rss)
    }
    await reader.finish()
    await own.close()

    expect((highest - before) / 1024 / 1024).to.be.below(50)
  }).timeout(120_000)

  for (const [what, patterns] of Object.entries({ 'with patterns': [COUNTS], 'without patterns': [] })) {
    it(`takes lines of ten megabytes and binary data ${what}`, async () => {
      const { reader, seen } = open(patterns)
      const noise = Uint8Array.from({ length: 65_536 }, (_, index) => (index * 7919 + (index >> 5) * 104_729) & 0xff)

      for (let index = 0; index < 160; index += 1) await reader.feed(Buffer.alloc(65_536, 'x'))
      for (let index = 0; index < 20; index += 1) await reader.feed(Buffer.from(noise))
      await reader.feed(Buffer.from('\nstep 7\n'))
      await reader.finish()

      expect(seen.lines.at(-1)).to.equal('step 7')
      expect(seen.matches.map(({ groups }) => groups.step)).to.deep.equal(patterns.map(() => '7'))
    })
  }
})
