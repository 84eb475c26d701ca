From:  Al Gore <vice-president@whitehouse.gov>
To:  White House Transportation Coordinator
     <transport@whitehouse.gov>
Subject: [Fwd: Map of Argentina with Description]
Content-Type: multipart/mixed;
              boundary="D7F------------D7FD5A0B8AB9C65CCDBFA872"

