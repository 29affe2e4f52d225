import { expect } from 'chai'
import { OutputLines } from '../../src/process/output-lines.js'

describe('output lines', () => {
  const linesOf = (...chunks: (string | Buffer)[]): string[] => {
    const lines: string[] = []
    const output = new OutputLines((line) => lines.push(line))
    for (const chunk of chunks) output.feed(Buffer.from(chunk))
    output.finish()
    return lines
  }

  it('are cut at newlines, at carriage returns and at both together', () => {
    expect(linesOf('one\ntwo\r\nthree\rfour')).to.deep.equal(['one', 'two', 'three', 'four'])
  })

  it('are whole when they come in pieces, also in the midst of a letter', () => {
    const bytes = Buffer.from('épo', 'utf8')

    expect(linesOf(bytes.subarray(0, 1), bytes.subarray(1), 'que 1\r', '\n2')).to.deep.equal(['époque 1', '2'])
  })

  it('without end come in pieces, and none of it is lost', () => {
    const lines = linesOf('x'.repeat(10_000), 'y\n')

    expect(lines.join('')).to.equal(`${'x'.repeat(10_000)}y`)
    expect(Math.max(...lines.map((line) => line.length))).to.equal(4096)
  })

  it('of which only the last fifty are remembered, with the unfinished one', () => {
    const output = new OutputLines()
    output.feed(Buffer.from(Array.from({ length: 200 }, (_, index) => `line ${index}\n`).join('')))
    output.feed(Buffer.from(`${'z'.repeat(3000)}end`))

    const last = output.last()

    expect(last).to.have.lengthOf(50)
    expect(last[0]).to.equal('line 151')
    expect(last[49]).to.have.lengthOf(1000).and.to.match(/zend$/)
  })
})
