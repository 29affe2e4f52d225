import { appendFile, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { BoundedLog } from '../../src/process/bounded-log.js'
import { useTemporaryFolder } from '../helpers/temporary-folder.js'

const MAX_BYTES = 8192

describe('a bounded log', () => {
  const folder = useTemporaryFolder()

  it('says exactly how much was cut out, over several programs', async () => {
    const path = join(folder.path, 'log')

    let written = 0
    for (let program = 0; program < 3; program++) {
      const log = await BoundedLog.open(path, { maxBytes: MAX_BYTES })
      for (let index = 0; index < 50; index++) {
        await log.write(Buffer.alloc(777, 'x'))
        written += 777
      }
      await log.close()
    }

    const text = await readFile(path, 'latin1')
    const marks = [...text.matchAll(/\n\[loopfleet: +(\d+) bytes were cut out here\]\n/g)]
    expect(text.length).to.be.at.most(MAX_BYTES)
    expect(marks).to.have.lengthOf(1)
    const [mark] = marks
    expect(text.length - (mark?.[0].length ?? 0) + Number(mark?.[1])).to.equal(written)
  })

  it('cuts a file that was too long before', async () => {
    const path = join(folder.path, 'log')
    await appendFile(path, `first${'x'.repeat(100_000)}`)

    const log = await BoundedLog.open(path, { maxBytes: MAX_BYTES })
    await log.write(Buffer.from('last'))
    await log.close()

    expect((await stat(path)).size).to.be.at.most(MAX_BYTES)
    expect(await readFile(path, 'utf8'))
      .to.match(/^first/)
      .and.to.match(/last$/)
  })

  it('takes a chunk that is larger than all it may hold', async () => {
    const path = join(folder.path, 'log')

    const log = await BoundedLog.open(path, { maxBytes: MAX_BYTES })
    await log.write(Buffer.from(`first${'x'.repeat(100_000)}last`))
    await log.close()

    expect((await stat(path)).size).to.be.at.most(MAX_BYTES)
    expect(await readFile(path, 'utf8'))
      .to.match(/^first/)
      .and.to.match(/last$/)
  })
})
