/srv/own:
  own_state.written:
    - word: written

'(echo "$WORD"; of-parent) > /srv/environment':
  cmd.run:
    - creates: /srv/environment
