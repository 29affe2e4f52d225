import { expect } from 'chai'
import { type GpuLimits, type GpuOffer, offerWithoutReading, toOffer } from '../../src/executors/gpu/gpu-offer.js'
import type { GpuInventory } from '../../src/executors/gpu/inventory.js'

describe('the offer of a host', () => {
  it('is all of its cards without limits, by index', () => {
    expect(visibleOf(toOffer(cards('L4', 'L4'), {}))).to.deep.equal(['0', '1'])
  })

  describe('with CUDA_VISIBLE_DEVICES', () => {
    const given = (cudaVisible: string, cudaOrder?: string): GpuLimits => ({ cudaVisible, cudaOrder })

    it('is what the indices name', () => {
      expect(visibleOf(toOffer(cards('L4', 'L4', 'L4', 'L4'), given('2,3')))).to.deep.equal(['2', '3'])
      expect(visibleOf(toOffer(cards('L4', 'L4', 'L4', 'L4'), given(' 3, 1 ')))).to.deep.equal(['1', '3'])
    })

    it('is what UUIDs name, also shortened and in other letters', () => {
      expect(visibleOf(toOffer(cards('L4', 'L4'), given('gpu-BBBB1111')))).to.deep.equal(['1'])
      expect(visibleOf(toOffer(cards('L4', 'A10'), given(`${uuid(1)},${uuid(0)}`)))).to.deep.equal(['0', '1'])
    })

    for (const value of ['', '-1', ' ', 'NoDevFiles', '-1,0', 'NoDevFiles,1']) {
      it(`is no GPU for ${JSON.stringify(value)}, without reading any`, () => {
        expect(offerWithoutReading(given(value))).to.include({ state: 'none' })
      })
    }

    it('ends at the first entry that names no card, as CUDA reads it', () => {
      expect(visibleOf(toOffer(cards('L4', 'L4'), given('1,-1,0')))).to.deep.equal(['1'])
    })

    it('refuses indices where the models differ, and lists the UUIDs', () => {
      expect(() => toOffer(cards('L4', 'A10'), given('0')))
        .to.throw(uuid(1))
        .with.property('code', 'LF_INVALID_INPUT')
      expect(() => toOffer(cards('L4', 'A10'), given('0', 'FASTEST_FIRST'))).to.throw('PCI_BUS_ID')
      expect(visibleOf(toOffer(cards('L4', 'A10'), given('1', 'PCI_BUS_ID')))).to.deep.equal(['1'])
    })

    it('refuses indices where a model is not known to be that of the others', () => {
      const text = JSON.stringify(cards('L4', 'L4')).replace('"name":"L4"', '"name":null')
      expect(() => toOffer(JSON.parse(text), given('0'))).to.throw('PCI_BUS_ID')
    })

    for (const value of ['7', 'GPU-00', 'GPU-', 'all', 'MIG-GPU-aaaa0000/1/0', '0x1']) {
      it(`refuses ${value}, which is no card`, () => {
        expect(() => toOffer(cards('L4', 'L4'), given(value)))
          .to.throw(value)
          .with.property('code', 'LF_INVALID_INPUT')
      })
    }

    for (const value of ['0,1,0', '1, 01', `${uuid(0)},1,gpu-aaaa`, `1,${uuid(1)}`]) {
      it(`refuses ${value}, for which CUDA shows no card at all`, () => {
        const refused = () => toOffer(cards('L4', 'L4'), given(value))
        expect(refused).to.throw('CUDA_VISIBLE_DEVICES names one card twice').with.property('code', 'LF_INVALID_INPUT')
      })
    }

    it('refuses the start of a UUID that several cards have', () => {
      const twins = cards('L4', 'L4')
      const text = JSON.stringify(twins).replaceAll('bbbb1111', 'aaaa1111')
      expect(() => toOffer(JSON.parse(text), given('GPU-aaaa'))).to.throw('several')
    })
  })

  describe('with NVIDIA_VISIBLE_DEVICES', () => {
    for (const nvidiaVisible of ['none', 'void', ' void ']) {
      it(`is no GPU for ${nvidiaVisible}`, () => {
        expect(offerWithoutReading({ nvidiaVisible })).to.include({ state: 'none' })
      })
    }

    it('is what UUIDs name', () => {
      expect(visibleOf(toOffer(cards('L4', 'A10'), { nvidiaVisible: uuid(1) }))).to.deep.equal(['1'])
    })

    // The container's runtime has applied them, and counts its cards from 0.
    for (const nvidiaVisible of ['all', '2,3', '', '1', 'MIG-0a']) {
      it(`does not apply ${nvidiaVisible || 'an empty one'} again`, () => {
        expect(offerWithoutReading({ nvidiaVisible })).to.equal(undefined)
        expect(visibleOf(toOffer(cards('L4', 'L4'), { nvidiaVisible }))).to.deep.equal(['0', '1'])
      })
    }
  })

  describe('with --gpus', () => {
    it('is what indices and UUIDs name', () => {
      expect(visibleOf(toOffer(cards('L4', 'A10', 'L4'), { flag: ['2', uuid(0)] }))).to.deep.equal(['0', '2'])
    })

    it('refuses unknown ones, and any on a host without GPUs', () => {
      expect(() => toOffer(cards('L4'), { flag: ['5', '6'] }))
        .to.throw('5')
        .with.property('code', 'LF_INVALID_INPUT')
      expect(() => toOffer(cards('L4'), { flag: ['GPU-dddd'] })).to.throw(uuid(0))
      expect(() => toOffer({ state: 'none', reason: 'no tool' }, { flag: ['0'] })).to.throw('no tool')
    })

    it('refuses a card that CUDA_VISIBLE_DEVICES leaves out', () => {
      expect(() => toOffer(cards('L4', 'L4', 'L4'), { flag: ['0'], cudaVisible: '1,2' })).to.throw('leaves out')
      expect(visibleOf(toOffer(cards('L4', 'L4', 'L4'), { flag: ['2'], cudaVisible: '1,2' }))).to.deep.equal(['2'])
    })

    it('waits while the GPUs are unreadable, whatever it names', () => {
      expect(toOffer({ state: 'unreadable', reason: 'x' }, { flag: ['5'] })).to.include({ state: 'unreadable' })
    })
  })

  describe('of a host with a lost card', () => {
    const lost: GpuInventory = {
      ...cards('L4', 'L4'),
      state: 'gpus',
      isPlain: false,
      cards: cardsOf(cards('L4', 'L4')).slice(1),
      lost: [{ index: 0, uuid: uuid(0), busId: null, reason: 'GPU is lost' }],
    }

    it('is the others, by UUID since CUDA may count without the lost one, and says why', () => {
      const offer = toOffer(lost, {})

      expect(visibleOf(offer)).to.deep.equal([uuid(1)])
      expect(offer.reason).to.include('GPU 0').and.include('GPU is lost')
    })

    it('is unreadable when only the lost one is wanted', () => {
      expect(toOffer(lost, { flag: ['0'] })).to.include({ state: 'unreadable' })
      expect(toOffer(lost, { cudaVisible: uuid(0) })).to.include({ state: 'unreadable' })
    })
  })

  it('names cards by UUID where one is divided', () => {
    const text = JSON.stringify(cards('A100', 'A100')).replace('"isPartitioned":false', '"isPartitioned":true')
    expect(visibleOf(toOffer(JSON.parse(text), {}))).to.deep.equal([uuid(0), uuid(1)])
  })
})

function uuid(index: number): string {
  return `GPU-${['aaaa0000', 'bbbb1111', 'cccc2222', 'dddd3333'][index]}-0000-0000-0000-000000000000`
}

function cards(...names: string[]): GpuInventory {
  const all = names.map((name, index) => ({
    index,
    uuid: uuid(index),
    busId: `0000:0${index}:00.0`,
    isPartitioned: false,
    figures: {
      ...{ index, name, utilizationPercent: null, memoryUsedBytes: null, memoryTotalBytes: null },
      ...{ temperatureCelsius: null, powerWatts: null },
    },
  }))
  return { state: 'gpus', cards: all, lost: [], isPlain: true }
}

function cardsOf(inventory: GpuInventory) {
  return inventory.state === 'gpus' ? inventory.cards : []
}

function visibleOf(offer: GpuOffer): readonly string[] {
  return offer.state === 'gpus' ? offer.cards.map(({ visible }) => visible) : [offer.state]
}
