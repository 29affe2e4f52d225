import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { openImageNames, parseImageName } from '../../../src/detector/outbox/image-names.js'
import { useTemporaryFolder } from '../../helpers/temporary-folder.js'

describe('the names of images', () => {
  const folder = useTemporaryFolder()
  const NOON = new Date(2024, 2, 9, 12, 0, 0, 42).getTime()
  const file = () => join(folder.path, 'next_ident')
  const openAt = (ms: number, taken: string[] = []) => openImageNames({ file: file(), taken }, { now: () => ms })

  it('are the local time with microseconds', async () => {
    expect(await (await openAt(NOON)).next()).to.equal('2024-03-09_12:00:00.042000')
  })

  it('rise through a clock that stands still, is set back, or repeats an hour', async () => {
    const hour = 3_600_000
    const clock = [NOON, NOON, NOON, NOON - hour, NOON - 48 * hour, NOON + 1, NOON]
    const imageNames = await openImageNames({ file: file(), taken: [] }, { now: () => clock.shift() ?? NOON })
    const names: string[] = []

    for (let count = 0; count < 6; count += 1) names.push(await imageNames.next())

    expect(names).to.deep.equal([...new Set(names)].sort())
  })

  it('rise over restarts, also when the clock was set back and nothing is left on disk', async () => {
    const before = await openAt(NOON)
    const names = [await before.next(), await before.next()]

    const after = await openAt(NOON - 7_200_000)
    names.push(await after.next(), await after.next())

    expect(names).to.deep.equal([...new Set(names)].sort())
  })

  it('rise above all that is on disk', async () => {
    const imageNames = await openAt(NOON, [
      '2030-01-01_00:00:00.5',
      '2029-01-01_00:00:00.500',
      'no time',
      '9999-12-31_23:59:59.999999',
    ])

    expect(await imageNames.next()).to.equal('2029-01-01_00:00:00.500001')
  })

  it('are given out once, however many ask at the same time', async () => {
    const imageNames = await openImageNames({ file: file(), taken: [] }, { now: Date.now })

    const names = await Promise.all(Array.from({ length: 2000 }, () => imageNames.next()))

    expect(new Set(names).size).to.equal(2000)
  })

  it('begin again from the clock when their file is spoiled', async () => {
    await writeFile(file(), 'rubbish\u0000')

    expect(await (await openAt(NOON)).next()).to.equal('2024-03-09_12:00:00.042000')
  })

  it('are read back to the microsecond, and nothing else is', () => {
    expect(
      (parseImageName('2024-03-09_12:00:00.042001') ?? 0) - (parseImageName('2024-03-09_12:00:00.042') ?? 0),
    ).to.equal(1)
    for (const name of ['', '..', '2024-03-09', '2024-03-09T12:00:00.042', 'x2024-03-09_12:00:00.042']) {
      expect(parseImageName(name), name).to.equal(undefined)
    }
  })
})
