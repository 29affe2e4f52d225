import { expect } from 'chai'
import { colouredText, plainText } from '../../../src/base/terminal/plain-text.js'

const ESC = '\u001b'

describe('text for a terminal', () => {
  it('keeps colours and ends them with their line', () => {
    expect(colouredText(`a${ESC}[31mb\nc`)).to.equal(`a${ESC}[31mb${ESC}[0m\n${ESC}[31mc${ESC}[0m`)
  })

  it('has no other control sequence', () => {
    expect(colouredText(`${ESC}]0;title\u0007a${ESC}[2J${ESC}[?1049h\u009b6nb\r\b\u0000`)).to.equal('ab')
  })

  it('has no colours where they are not wanted, and keeps lines and tabulators', () => {
    expect(plainText(`${ESC}[1;31ma\tb${ESC}[0m\n\nc`)).to.equal('a\tb\n\nc')
  })
})
