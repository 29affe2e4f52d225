import { expect } from 'chai'
import { cutBehindBar } from '../../../src/base/terminal/cut-behind-bar.js'
import { OutputText } from '../../../src/base/terminal/output-text.js'

const ESC = '\u001b'

describe('what is printed behind a bar', () => {
  const LOSS = "{'eval_loss': 0.66, 'epoch': 3.0}"
  const BARS = {
    'that is full': '100%|██████████| 8/8 [00:37<00:00,  4.69s/it]',
    'that is not full': 'eval:  38%|███▊      | 3/8 [00:14<00:23,  4.69s/it]',
    'of hours, with figures': ' 12%|█▏        | 1.2k/10k [1:02:03<7:35:02, 3.10it/s, loss=0.51, lr=1e-4]',
    'that has no rate yet': '  0%|          | 0/800 [00:00<?, ?it/s]',
    'of bytes without an end': 'data: 3.2MB [00:05, 642kB/s]',
    'in colours': `100%|${ESC}[32m██████████${ESC}[0m| 8/8 [00:37<00:00,  4.69s/it]`,
  }
  for (const [what, bar] of Object.entries(BARS)) {
    it(`${what} is a line of its own`, () => {
      expect(cutBehindBar(bar + LOSS)).to.deep.equal([bar, LOSS])
    })

    it(`${what} is that bar alone when nothing follows`, () => {
      expect(cutBehindBar(bar)).to.deep.equal([bar])
      expect(cutBehindBar(`${bar}   `)).to.deep.equal([`${bar}   `])
      expect(cutBehindBar(`${bar}]`)).to.deep.equal([`${bar}]`]) // of a longer bar that was written over
    })
  }

  for (const line of [
    '[12:30:05] epoch 3 done',
    '[INFO, 3/s] x',
    'a[00:12] b',
    'loss [0.5, 0.4] at 3/8',
    '[00:05<00:01, fast] x',
  ]) {
    it(`is no matter in "${line}"`, () => {
      expect(cutBehindBar(line)).to.deep.equal([line])
    })
  }

  it('stays where a colour goes on behind the bar', () => {
    const line = `${ESC}[31m8/8 [00:37<00:00, 4.69s/it] done${ESC}[0m`
    expect(cutBehindBar(line)).to.deep.equal([line])
  })

  it('is found by patterns from its beginning, and read as a line of its own', () => {
    const lines: string[] = []
    const pieces: string[] = []
    const text = new OutputText({ onLine: (line) => lines.push(line), onPiece: (piece) => pieces.push(piece) })
    text.feed(
      Buffer.from(`\r 50%|█ | 1/2 [00:01<00:01, 1.00s/it]\r100%|██| 2/2 [00:02<00:00, 1.00s/it]${LOSS}\nnext\n`),
    )
    text.finish()

    expect(lines).to.deep.equal(['100%|██| 2/2 [00:02<00:00, 1.00s/it]', LOSS, 'next'])
    expect(pieces.filter((piece) => /^\{'eval_loss'.*\}$/.test(piece))).to.deep.equal([LOSS])
  })
})
