"""The table of known senders as C: embed.py OUTPUT INPUT."""
import sys

data = open(sys.argv[2], 'rb').read()
with open(sys.argv[1], 'w') as out:
    out.write('#include "desk/senders.h"\n\nstatic const unsigned char bytes[] = {\n')
    for at in range(0, len(data), 24):
        out.write('    ' + ', '.join(str(b) for b in data[at:at + 24]) + ',\n')
    out.write('};\n\nstruct view senders_shipped(void)\n{\n    return view_of(bytes, sizeof bytes);\n}\n')
