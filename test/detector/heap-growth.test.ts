import { expect } from 'chai'
import { execa } from 'execa'
import { HEAP_GROWTH } from '../../src/detector/heap-growth.js'

describe('the growth of the heaps', () => {
  // At run time it passes silently over one that it does not know; at the start it does not.
  it('is a setting that this V8 knows', async () => {
    const { stdout } = await execa(process.execPath, [HEAP_GROWTH, '--print', '"started"'])
    expect(stdout).to.equal('started')
  })
})
