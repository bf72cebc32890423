// The contract is a ConfigMap that Warrener writes for a Queue or Topic, mounted as a folder: names, delays, arguments.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

// CONTRACTS holds a folder for each ConfigMap, under the ConfigMap's name.
export const folder = process.env.CONTRACTS ?? '/etc/contracts'

export function readContract(configMap) {
  const file = join(folder, configMap, 'contract.json')
  const contract = JSON.parse(readFileSync(file, 'utf8'))
  if (contract.contractVersion !== 1) throw new Error(`${file}: contractVersion ${contract.contractVersion} is newer than this program`)
  return contract
}

// groupInstanceId names this member of a group: a pod of a StatefulSet keeps its name, and so its partitions.
export function groupInstanceId(contract, group, pod = process.env.POD_NAME ?? 'pod-0') {
  return contract.groupInstanceId.pattern.replaceAll('{group}', group).replaceAll('{pod}', pod)
}
