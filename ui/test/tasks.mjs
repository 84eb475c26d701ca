// What people do on the pages, each as a newcomer would: node tasks.mjs [WORD]
// As operator, domain owner and user; by mouse, by keyboard alone, and on a phone of 360 px. One line a task.
import { faults, finish, shown, site } from './lib.mjs';
import { Hands } from './hands.mjs';
import { operator } from './tasks/operator.mjs';
import { owner } from './tasks/owner.mjs';
import { user } from './tasks/user.mjs';

const only = process.argv[2];
const GIVE_UP = 3; // failed tasks of one run: the rest would fail by them

async function run(role, tasks, how) {
  const hands = await Hands.of(how);
  const who = { address: site.people[how][role], password: site.password };
  let failed = 0;
  for (const [name, task] of Object.entries(tasks)) {
    if (failed === GIVE_UP) break;
    if (only && !`${role} ${how}: ${name}`.includes(only) && !name.startsWith('log in')) continue;
    const began = Date.now();
    try {
      if ((await task(hands, who)) === null) continue;
      if (how === 'phone') await hands.fits();
      console.log(`ok ${role}, ${how}: ${name} (${Date.now() - began} ms)`);
    } catch (e) {
      failed++;
      faults.push(`${role}, ${how}: ${name}: ${e.message.split('\n').slice(0, 6).join(' / ')}`);
      if (process.env.SHOTS) await hands.page.screenshot({ path: `${process.env.SHOTS}/${role}-${how}-${name.replace(/\W+/g, '-')}.png` });
      await hands.page.goto('about:blank');
      await hands.page.goto(site.base);
      await shown(hands.page);
    }
  }
  await hands.context.close();
}

for (const [role, tasks] of Object.entries({ operator, owner, user })) {
  await Promise.all(['mouse', 'keyboard', 'phone'].map((how) => run(role, tasks, how)));
}
await finish();
