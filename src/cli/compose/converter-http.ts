import { type ConverterNode, createConverterHttp } from '../../nodes/converter/index.js'
import { debugSwitch, type NodeAddress, type NodeHttp, type NodeHttpParts, openWithLaterNode } from './node-http.js'

export type ServedConverter = Pick<ConverterNode, 'setOnline' | 'setChecking' | 'step' | 'isBusy' | 'whyNotReady'>

/** Opens the REST endpoints of a converter, which listen before its node is built. */
export function openConverterHttp(address: NodeAddress, parts: NodeHttpParts): Promise<NodeHttp<ServedConverter>> {
  const { log, environment } = parts.context
  return openWithLaterNode<ServedConverter>(address, parts, (later, rules) => {
    const node = {
      setOnline: async (online: boolean) => later.get().setOnline(online),
      setChecking: (checking: boolean) => later.get().setChecking(checking),
      step: async () => later.get().step(),
      isBusy: async () => later.get().isBusy(),
    }
    const setDebugLogging = debugSwitch(log)
    return createConverterHttp(
      { ...rules, backdoor: environment.USE_BACKDOOR_CONTROLS },
      { node, setDebugLogging, log },
    )
  })
}
