{% for number in range(40) %}
file-{{ number }}:
  file.managed:
    - name: {{ pillar['directory'] }}/service-{{ number }}.conf
    - source: salt://forty/service.conf.jinja
    - template: jinja
    - mode: '0640'
    - user: root
    - group: root
    - context: { number: {{ number }} }
{% endfor %}
